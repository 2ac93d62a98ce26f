"""Lines for the shell of a device, which works before there is a Python."""

import io
import shlex
from typing import BinaryIO

from provisioning.errors import ProvisioningError
from provisioning.providers.ssh.connection import Connection


def run(
    connection: Connection, name: str, command: str, *, stdin: BinaryIO | None = None, out: BinaryIO | None = None
) -> None:
    """Run a line for the user's shell; raises ProvisioningError with `name` and what it complained."""
    err = io.BytesIO()
    if connection.run(command, stdin, out or io.BytesIO(), err):
        lines = err.getvalue().decode(errors="replace").strip().splitlines()
        raise ProvisioningError(f"{name}: {lines[0] if lines else 'no reason given'}")


def works(connection: Connection, command: str) -> bool:
    """Whether a line ends well."""
    return connection.run(command, None, io.BytesIO(), io.BytesIO()) == 0


def script(text: str, *arguments: str) -> str:
    """A script with its arguments as such a line."""
    return shlex.join(["sh", "-c", text, "sh", *arguments])

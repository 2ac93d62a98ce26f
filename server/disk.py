"""Files that appear whole or not at all, and full disks that are told apart from other faults."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from contract.codes import ErrorCode
from server.errors import AgentError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def storage_faults() -> Iterator[None]:
    """Turn a full disk into an AgentError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise AgentError(ErrorCode.STORAGE_FULL, "the bytes could not be stored: no space left") from error
        raise


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file as a whole, also over a loss of power.

    Raises AgentError STORAGE_FULL, and OSError for anything else; then the old file is as it was.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with storage_faults():
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

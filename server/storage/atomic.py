"""Files that appear whole or not at all, and full disks that are told apart from other faults."""

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from contract.codes import ErrorCode
from server.errors import AgentError
from server.storage.trees import FULL

log = logging.getLogger(__name__)


@contextlib.contextmanager
def storage_faults() -> Iterator[None]:
    """Turn a full disk into an AgentError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise AgentError(ErrorCode.STORAGE_FULL, "the bytes could not be stored: no space left") from error
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file as a whole, also over a loss of power; nobody else can read it.

    Raises AgentError STORAGE_FULL, and OSError for anything else; then the old file is as it was.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with storage_faults():
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        put_in_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def put_in_place(part: Path, path: Path) -> None:
    """Give a complete file its name. A folder of that name, which nobody should have made, is moved aside."""
    try:
        part.replace(path)
    except IsADirectoryError:
        move_aside(path)
        part.replace(path)


def ensure_folder(path: Path) -> None:
    """Make a folder if need be. A file of that name, which nobody should have made, is moved aside."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        move_aside(path)
        path.mkdir()


def move_aside(path: Path) -> None:
    """Rename what is in the way of a file or folder of the agent's own, and say so."""
    aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}")
    path.rename(aside)
    log.warning("%s was in the way and is %s now", path, aside.name)

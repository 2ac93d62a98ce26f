"""Who may look into the data folder: the user the agent runs as, and nobody else on the machine."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

PRIVATE_UMASK = 0o077
"""The agent's umask and its children's, so that no file is for others: folders get 0700, files 0600."""
PROGRAM_UMASK = 0o022
"""The umask of programs that jobs run, as a user's shell has it."""
_OTHERS = 0o077
_HOLDS_SECRETS = ("jobs.sqlite*", "jobs", "jobs/*", "jobs/*/*")
"""What earlier agents left readable: the list of jobs and what programs were started with."""


def make_private(folder: Path) -> None:
    """Make the data folder if need be, and close it to others; the umask closes all that is made in it later.

    What was open is closed once. The folder's own mode keeps others from all that is in it; the rest is closed for the
    case that somebody opens the folder again.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not stat.S_IMODE(folder.stat().st_mode) & _OTHERS:
        return
    closed = sum(_close(path) for path in _in_need(folder))
    if closed:
        log.warning("others could read %s: it and %d things in it are closed to them now", folder, closed - 1)
    else:
        log.warning("others can read %s, and it belongs to somebody else: choose another with --data", folder)


def _in_need(folder: Path) -> Iterator[Path]:
    yield folder
    for pattern in _HOLDS_SECRETS:
        yield from folder.glob(pattern)


def _close(path: Path) -> bool:
    """Take others' rights away from a file or folder of this user; False where there were none, and for all else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        usual = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
        if not usual or found.st_uid != os.geteuid() or not found.st_mode & _OTHERS:
            return False
        os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~_OTHERS)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)

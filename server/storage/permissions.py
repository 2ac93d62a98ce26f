"""Who may look into the data folder: the user the agent runs as, and nobody else on the machine."""

import contextlib
import logging
import os
import stat
from pathlib import Path

from server.storage.trees import Folder

log = logging.getLogger(__name__)

PRIVATE_UMASK = 0o077
"""The agent's umask and its children's, so that no file is for others: folders get 0700, files 0600."""
PROGRAM_UMASK = 0o022
"""The umask of programs that jobs run, as a user's shell has it."""
_OTHERS = 0o077
_SECRETS = "jobs"
"""What earlier agents left readable begins with this: the list of jobs, and what programs were started with."""
_SECRET_LEVELS = 2


def make_private(folder: Path) -> None:
    """Make the data folder if need be, and close it to others; the umask closes all that is made in it later.

    What was open is closed once. The folder's own mode keeps others from all that is in it; the rest is closed for the
    case that somebody opens the folder again.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not stat.S_IMODE(folder.stat().st_mode) & _OTHERS:
        return
    with Folder.at(folder.resolve()) as opened:
        closed = _close(opened, ".") + _close_in(opened, _SECRETS, _SECRET_LEVELS)
    if closed:
        log.warning("others could read %s: it and %d things in it are closed to them now", folder, closed - 1)
    else:
        log.warning("others can read %s, and it belongs to somebody else: choose another with --data", folder)


def _close_in(folder: Folder, prefix: str, levels: int) -> int:
    """Take others' rights away from what is in a folder and so many levels below; gives from how much."""
    closed = 0
    for name, status in list(folder.entries()):
        if name.startswith(prefix):
            closed += _close(folder, name)
            if levels and stat.S_ISDIR(status.st_mode):
                with contextlib.suppress(OSError), folder.folder(name) as inner:
                    closed += _close_in(inner, "", levels - 1)
    return closed


def _close(folder: Folder, name: str) -> bool:
    """Take others' rights away from a file or folder of this user; False where there were none, and for all else."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder.descriptor)
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

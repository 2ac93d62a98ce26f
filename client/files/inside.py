"""Paths made of names that the other side chose: the one place where such a name becomes a part of a path.

Agents, archives and devices are not believed. Whoever has a name from them and needs a file asks here.
"""

import os
import re
from pathlib import Path, PurePosixPath

from client.errors import EdgeError

NAME_MAX_BYTES = 200
"""Room is left below the 255 of most file systems for what is put around a name, such as `.NAME.1234.part`."""
PART_MAX_BYTES = 255
PARTS_MAX = 255
PATH_MAX_BYTES = 3000
"""The longest path; Linux's 4096 count the folder as well."""

_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


class UnsafeName(EdgeError):
    """A name of the other side's cannot be a file's name here."""

    exit_code = 6

    def __init__(self, name: str, reason: str) -> None:
        hint = "nothing was written under it; the other side may be compromised"
        super().__init__(f"{name[:80]!a} cannot be a file's name here: {reason}", hint=hint)


def inside(folder: Path, name: str) -> Path:
    """The path of something in a folder under a name that the other side chose; raises UnsafeName.

    The name is one part: no separators, not `..`, nothing hidden, reserved, invisible, or taken for an option, and no
    link may lie there.
    """
    _check_part(name, name)
    if name.startswith((".", "-", "~")) or _RESERVED.fullmatch(name):
        raise UnsafeName(name, "it is hidden, reserved, or looks like an option")
    if _INVISIBLE.search(name):
        raise UnsafeName(name, "it holds characters that cannot be seen")
    if len(name.encode()) > NAME_MAX_BYTES:
        raise UnsafeName(name, "it is too long")
    path = folder / name
    if path.is_symlink():
        raise UnsafeName(name, f"{path} is a link")
    return path


def inner_path(name: str) -> PurePosixPath:
    """A path below a folder as the other side gives it, such as an archive's member; raises UnsafeName.

    It may have several parts, hidden and odd ones too: a program may call its files as it likes, and whoever uses the
    path writes below a folder that was empty. `.` is the folder itself.
    """
    path = PurePosixPath(name)
    if path.is_absolute():
        raise UnsafeName(name, "it is an absolute path")
    if len(path.parts) > PARTS_MAX:
        raise UnsafeName(name, "it is too deep")
    for part in path.parts:
        _check_part(part, name)
    if len(os.fsencode(path)) > PATH_MAX_BYTES:
        raise UnsafeName(name, "it is too long")
    return path


def _check_part(part: str, name: str) -> None:
    if part in ("", ".", ".."):
        raise UnsafeName(name, "it leads to another folder")
    if "/" in part or "\\" in part or "\0" in part:
        raise UnsafeName(name, "it has separators")
    try:
        size_bytes = len(os.fsencode(part))
    except UnicodeEncodeError:
        raise UnsafeName(name, "it cannot be encoded") from None
    if size_bytes > PART_MAX_BYTES:
        raise UnsafeName(name, "it is too long")

"""A folder as a tar file for a command job: the same folder gives the same bytes, so it is uploaded once."""

import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from client.errors import EdgeError
from client.files.unpack import UnsafeArchive, checked_link

LEFT_OUT = frozenset({".git", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})
"""Folders that are never packed."""


class BundleError(EdgeError):
    """A folder cannot be packed."""

    exit_code = 2


@dataclass(frozen=True)
class Bundle:
    """A packed folder."""

    files: int
    content_bytes: int
    """The most bytes that the files may have together; the tar is a little larger."""
    left_out: tuple[str, ...]
    """Folders that were not packed, relative to the bundle."""


def pack(folder: Path, target: Path, limit_bytes: int) -> Bundle:
    """Write a folder as a tar file: sorted, without owners and times, modes reduced to "may be run".

    Raises BundleError for a folder that is none, is too large, or holds links out of itself or special files.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a folder", hint="--bundle takes the folder that holds the program")
    left_out: list[str] = []
    try:
        found = list(_walk(folder, PurePosixPath(), left_out))
        sizes = {path: status.st_size for path, status in found if stat.S_ISREG(status.st_mode)}
        size_bytes = sum(sizes.values())
        if size_bytes > limit_bytes:
            largest = max(sizes, key=lambda path: sizes[path])
            detail = f"{folder} holds {size_bytes / 1e6:.1f} MB, the agent takes {limit_bytes / 1e6:.1f} MB"
            hint = f"the largest file is {largest} with {sizes[largest] / 1e6:.1f} MB"
            raise BundleError(detail, hint=hint)
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
            for path, status in found:
                _add(tar, folder, path, status)
    except OSError as error:
        raise BundleError(f"{error.filename or folder}: {error.strerror or error}") from error
    return Bundle(len(sizes), size_bytes, tuple(left_out))


def _walk(folder: Path, below: PurePosixPath, left_out: list[str]) -> Iterator[tuple[PurePosixPath, os.stat_result]]:
    for entry in sorted(os.scandir(folder / below), key=lambda entry: entry.name):
        path, status = below / entry.name, entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            if entry.name in LEFT_OUT:
                left_out.append(str(path))
                continue
            yield path, status
            yield from _walk(folder, path, left_out)
        else:
            yield path, status


def _add(tar: tarfile.TarFile, folder: Path, path: PurePosixPath, status: os.stat_result) -> None:
    member = tarfile.TarInfo(str(path))
    member.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    if stat.S_ISDIR(status.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(member)
    elif stat.S_ISLNK(status.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, str((folder / path).readlink())
        try:
            checked_link(path, member.linkname)
        except UnsafeArchive:
            raise BundleError(f"{path} links to {member.linkname}, out of {folder}") from None
        tar.addfile(member)
    elif stat.S_ISREG(status.st_mode):
        with (folder / path).open("rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            tar.addfile(member, file)
    else:
        raise BundleError(f"{path} is neither a file, a folder nor a link", hint="move it out of the bundle")

"""Tar files from agents, unpacked so that nothing lands outside of the folder, whatever they hold."""

import contextlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from client.errors import EdgeError
from client.files.inside import UnsafeName, inner_path

HEADERS_MAX_BYTES = 32 * 1024 * 1024
"""The most bytes of all headers together; they are looked at before anything is written, and kept in memory."""
HEADER_MAX_BYTES = 256 * 1024
"""The most bytes of one name with its attributes."""


class UnsafeArchive(EdgeError):
    """An archive holds something that could reach beyond its folder; nothing of it was unpacked."""

    exit_code = 6

    def __init__(self, detail: str) -> None:
        super().__init__(f"the archive is refused: {detail}", hint="it was not unpacked; the agent may be compromised")


@dataclass
class _Plan:
    folders: dict[PurePosixPath, tarfile.TarInfo] = field(default_factory=dict)
    files: dict[PurePosixPath, tarfile.TarInfo] = field(default_factory=dict)
    links: dict[PurePosixPath, str] = field(default_factory=dict)
    copies: dict[PurePosixPath, PurePosixPath] = field(default_factory=dict)


def unpack(archive: Path | BinaryIO, folder: Path, *, files_only: bool = False) -> list[Path]:
    """Unpack a tar file into a folder that is empty or does not exist; gives the files, in the archive's order.

    The whole archive is looked at before anything is written. `files_only` leaves out symbolic links and special
    files, wherever they lead, instead of refusing them. Raises UnsafeArchive, and EdgeError for an archive that is
    damaged or does not fit on the disk.
    """
    if folder.exists() and any(folder.iterdir()):
        raise EdgeError(f"{folder} is not empty", hint="name another folder: nothing is overwritten")
    try:
        with contextlib.ExitStack() as stack:
            opened = stack.enter_context(archive.open("rb")) if isinstance(archive, Path) else archive
            headers = _Headers(opened)
            tar = stack.enter_context(tarfile.open(fileobj=headers, mode="r:"))
            plan = _plan(member for member in tar if not files_only or _is_plain(member))
            headers.seen = True
            folder.mkdir(parents=True, exist_ok=True)
            return _write(tar, plan, folder)
    except UnsafeName as error:
        raise UnsafeArchive(str(error)) from error
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise EdgeError(f"the archive is damaged: {error}") from error
    except OSError as error:
        raise EdgeError(f"{error.filename or folder}: {error.strerror or error}") from error


class _Headers(io.RawIOBase):
    """An archive that is read as tarfile does, with a bound on what its headers may make tarfile keep in memory."""

    def __init__(self, archive: BinaryIO) -> None:
        self._archive = archive
        self._left_bytes = HEADERS_MAX_BYTES
        self.seen = False
        """Whether all headers were read: what follows is content, a piece at a time."""

    def read(self, size: int = -1, /) -> bytes:
        """Bytes of a header, or of a file's content."""
        if not self.seen:
            self._left_bytes -= size
            if not 0 <= size <= HEADER_MAX_BYTES or self._left_bytes < 0:
                raise UnsafeArchive("its headers are too large")
        return self._archive.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to another place."""
        return self._archive.seek(offset, whence)

    def tell(self) -> int:
        """The present place."""
        return self._archive.tell()


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isdir() or member.isreg() or member.islnk()


def _plan(members: Iterable[tarfile.TarInfo]) -> _Plan:
    plan = _Plan()
    for member in members:
        path = inner_path(member.name)
        if member.isdir():
            plan.folders[path] = member
            continue
        if path == PurePosixPath():
            raise UnsafeArchive(f"{member.name!r} names the folder itself")
        for kind in (plan.files, plan.links, plan.copies):
            kind.pop(path, None)  # the last of a name counts, as with tar itself
        if member.issparse():
            raise UnsafeArchive(f"{member.name!r} is a sparse file")
        if member.isreg():
            plan.files[path] = member
        elif member.issym():
            plan.links[path] = checked_link(path, member.linkname)
        elif member.islnk():
            plan.copies[path] = inner_path(member.linkname)
        else:
            raise UnsafeArchive(f"{member.name!r} is neither a file, a folder nor a link")
    _check_tree(plan)
    return plan


def _check_tree(plan: _Plan) -> None:
    leaves = {*plan.files, *plan.links, *plan.copies}
    for path in (*plan.folders, *leaves):
        if crossed := leaves.intersection(path.parents):
            raise UnsafeArchive(f"{str(path)!r} lies below {str(min(crossed))!r}, which is no folder")
    if both := leaves.intersection(plan.folders):
        raise UnsafeArchive(f"{str(min(both))!r} is a folder and something else")
    for path, source in plan.copies.items():
        if source not in plan.files:
            raise UnsafeArchive(f"{str(path)!r} is a hard link to {str(source)!r}, which is no file in it")


def checked_link(path: PurePosixPath, target: str) -> str:
    """A symbolic link's target, when it stays in the folder; raises UnsafeArchive.

    `..` counts from the link's own folder, which is a real one, so it may stand at the beginning only: behind a
    name it could start from wherever another link leads.
    """
    parts = PurePosixPath(target).parts
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    inside = up < len(path.parts) and ".." not in parts[up:]
    if not target or target.startswith("/") or "\\" in target or "\0" in target or not inside:
        raise UnsafeArchive(f"{str(path)!r} links to {target!r}, out of the folder")
    return target


def _write(tar: tarfile.TarFile, plan: _Plan, folder: Path) -> list[Path]:
    for path in plan.folders:
        (folder / path).mkdir(parents=True, exist_ok=True)
    written = []
    for path, member in plan.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        source = tar.extractfile(member)
        assert source is not None
        with source, target.open("xb") as file:
            shutil.copyfileobj(source, file)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
        written.append(target)
    for path, origin in plan.copies.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / origin, folder / path)  # a copy each would let a small archive fill the disk
        written.append(folder / path)
    for path, link in plan.links.items():  # last: no file is ever written through one
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(link)
        written.append(folder / path)
    return written

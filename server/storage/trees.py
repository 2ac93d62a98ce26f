"""Folders held by their descriptors: nothing that is done below one follows a link or reaches out of it.

Whoever may write into a folder may put a link, a pipe or a mounted file system in the place of anything in it, at any
moment. So every step is one name relative to an open folder, and what is removed is looked at before it is entered.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

PRIVATE = 0o700
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors that mean: there is no room."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PART_SUFFIX = ".part"


class Folder:
    """An open folder."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def at(cls, path: Path) -> "Folder":
        """Open a folder by its path; raises OSError, also where its last part is a link."""
        return cls(os.open(path, _FOLDER))

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; nothing can be done by way of it any more, even where its number is given anew."""
        descriptor, self.descriptor = self.descriptor, -1
        os.close(descriptor)

    def names(self) -> list[str]:
        """What is in it, in no order."""
        return [name for name, _ in self.entries()]

    def folder(self, name: str) -> "Folder":
        """A folder in it; raises OSError when it is anything else."""
        return Folder(os.open(_one(name), _FOLDER, dir_fd=self.descriptor))

    def make(self, name: str, mode: int = PRIVATE) -> "Folder":
        """A folder in it, made where it is not there; raises OSError when it is anything else."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(_one(name), mode, dir_fd=self.descriptor)
        return self.folder(name)

    def open(self, name: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
        """A descriptor of a regular file in it, which is never waited for; raises OSError when it is anything else."""
        descriptor = os.open(_one(name), flags | _FILE, mode, dir_fd=self.descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", name)
        return descriptor

    def read(self, name: str, max_bytes: int) -> bytes:
        """A file's content; raises OSError when it has more than so many bytes, or is no file."""
        with os.fdopen(self.open(name), "rb", buffering=0) as file:
            content = file.read(max_bytes + 1) or b""
            while len(content) <= max_bytes and (more := file.read(max_bytes + 1 - len(content))):
                content += more
        if len(content) > max_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
        return content

    def replace(self, name: str, content: bytes, *, sync: bool = True) -> None:
        """Write a file as a whole or not at all, with `sync` over a loss of power too."""
        part = f".{name}.{secrets.token_hex(4)}{PART_SUFFIX}"
        try:
            with os.fdopen(self.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                file.write(content)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            try:
                os.replace(part, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            except IsADirectoryError:
                self.remove(name)
                os.replace(part, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=self.descriptor)

    def move(self, name: str, target: "Folder", new_name: str) -> None:
        """Put something into another folder of the same file system, a link as the link it is; raises OSError."""
        os.rename(_one(name), _one(new_name), src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def remove(self, name: str) -> None:
        """Remove what has this name, if anything: a link as the link it is, a folder with everything in it.

        What is mounted below stays. Raises OSError for what cannot be removed.
        """
        try:
            if not stat.S_ISDIR(os.lstat(_one(name), dir_fd=self.descriptor).st_mode):
                self._unlink(name)
                return
            with self.entered(name) as folder:
                folder._empty()
            os.rmdir(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return

    def entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """What is in it with what it is, as it is found: links are not followed, what goes meanwhile is left out."""
        scanned = os.open(".", _FOLDER, dir_fd=self.descriptor)
        try:
            with os.scandir(scanned) as found:
                for each in found:
                    with contextlib.suppress(FileNotFoundError):
                        yield each.name, os.lstat(each.name, dir_fd=self.descriptor)
        finally:
            os.close(scanned)

    def entered(self, name: str) -> "Folder":
        """A folder in it, made readable; raises OSError when it is anything else, or another file system."""
        place = os.open(_one(name), _PLACE, dir_fd=self.descriptor)
        try:
            if _mount(place) != _mount(self.descriptor):
                raise OSError(errno.EXDEV, "another file system is mounted there", name)
            _grant(place, PRIVATE)
            return Folder(os.open(".", _FOLDER, dir_fd=place))
        finally:
            os.close(place)

    def grant(self, name: str, mode: int) -> None:
        """Have a file or folder in it carry these permissions beside those that it has."""
        place = os.open(_one(name), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            _grant(place, mode)
        finally:
            os.close(place)

    def _empty(self) -> None:
        """Remove everything in it. Folders are taken apart one by one: what is in them is moved up first.

        So no depth is too deep, and no path too long. Raises OSError when something does not go.
        """
        error: OSError | None = None
        while True:
            found = removed = 0
            for name, status in self.entries():
                found += 1
                try:
                    removed += self._take_apart(name) if stat.S_ISDIR(status.st_mode) else self._unlink(name)
                except FileNotFoundError:
                    removed += 1
                except OSError as fault:
                    error = fault
            if not found:
                return
            if not removed:
                raise error or OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

    def _take_apart(self, name: str) -> int:
        """Remove a folder in it, and move the folders of that one up; gives how much was changed."""
        changed, error = 0, None
        with self.entered(name) as inner:
            for each, status in inner.entries():
                try:
                    if stat.S_ISDIR(status.st_mode):
                        inner.grant(each, PRIVATE)  # to move a folder is to write its `..`
                        inner.move(each, self, secrets.token_hex(8))
                    else:
                        inner._unlink(each)
                    changed += 1
                except OSError as fault:
                    error = fault
        if error is None:
            os.rmdir(name, dir_fd=self.descriptor)
        elif not changed:
            raise error
        return changed + 1

    def _unlink(self, name: str) -> int:
        os.unlink(name, dir_fd=self.descriptor)
        return 1


def bytes_in(folder: Folder, levels: int) -> int:
    """Bytes of all that is in a folder, so many levels down."""
    total = 0
    for name, status in folder.entries():
        total += status.st_size
        if stat.S_ISDIR(status.st_mode) and levels:
            with contextlib.suppress(OSError), folder.folder(name) as inner:
                total += bytes_in(inner, levels - 1)
    return total


def _one(name: str) -> str:
    """A name as it was given, when it is one step and not a path."""
    if name in ("", ".", "..") or "/" in name:
        raise ValueError(f"{name!r} is no name of something in a folder")
    return name


def _grant(place: int, mode: int) -> None:
    """Add permissions to what an O_PATH descriptor stands for; /proc leads to just that, whatever its name is now."""
    now = stat.S_IMODE(os.fstat(place).st_mode)
    if now & mode != mode:
        with contextlib.suppress(PermissionError):
            os.chmod(f"/proc/self/fd/{place}", now | mode)  # noqa: PTH101


def _mount(descriptor: int) -> str:
    """Which mounted file system a descriptor is of; one that is mounted twice counts as two."""
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    return next(line for line in lines if line.startswith("mnt_id:"))

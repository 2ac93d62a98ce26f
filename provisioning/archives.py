"""Files on their way to and from a place: one tar archive, and the rules of `cp -r` for where they land."""

import posixpath
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from client.files.unpack import unpack as unpack_tar
from provisioning.errors import ProvisioningError


def landing(remote: str, own_name: str, *, is_folder: bool) -> tuple[str, str]:
    """Folder and name that something called `own_name` gets when it is copied to `remote`."""
    if is_folder or remote.endswith("/"):
        return remote.rstrip("/") or "/", own_name
    path = PurePosixPath(remote)
    return str(path.parent), path.name


def own_name(path: Path) -> str:
    """What a file or folder is called, also when it was given as `.`"""
    return path.resolve().name


def pack(source: Path, name: str, into: BinaryIO, *, owner: int | None = None, follow: bool = False) -> None:
    """Write a file or folder as an archive with one entry `name` at its top, and rewind.

    `owner` is a user's number; `follow` takes what links lead to instead of the links.
    """

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        if owner is not None:
            member.uid = member.gid = owner
        member.uname = member.gname = ""
        return member

    with tarfile.open(fileobj=into, mode="w", dereference=follow) as archive:
        archive.add(source, arcname=name, filter=owned)
    into.seek(0)


def unpack(archive: BinaryIO, local: Path) -> Path:
    """Write an archive's one top entry as `local`, or into it when that is a folder; returns where it landed.

    Folders are merged and files replaced, as `cp -r` does. Only files and folders are taken, and nothing lands outside,
    whatever an archive says. Raises EdgeError.
    """
    into = local if local.is_dir() else local.parent
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".edgerun-", dir=into) as scratch:
            unpack_tar(archive, Path(scratch) / "all", files_only=True)
            entries = list((Path(scratch) / "all").iterdir())
            if len(entries) != 1:
                raise ProvisioningError("nothing arrived" if not entries else "more arrived than was asked for")
            landed = local / entries[0].name if local.is_dir() else local
            _move(entries[0], landed)
    except OSError as error:
        raise ProvisioningError(f"{error.filename or local}: {error.strerror or error}") from error
    return landed


def _move(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir() and not target.is_symlink():
        for child in source.iterdir():
            _move(child, target / child.name)
    else:
        source.replace(target)


def below(folder: str, remote: str) -> str:
    """A path on a device: absolute, or below the agent's folder. A slash at its end stays."""
    path = posixpath.normpath(posixpath.join(folder, remote))
    return f"{path}/" if remote.endswith("/") and path != "/" else path

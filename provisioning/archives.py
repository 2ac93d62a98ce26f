"""Files on their way to and from a place: one tar archive, and the rules of `cp -r` for where they land."""

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

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


def unpack(archive: BinaryIO, local: Path, called: str | None = None) -> Path:
    """Write what an archive holds to `local`, or into it when that is a folder; returns where it landed.

    `called` replaces the name of the archive's one top entry. Only files and folders are taken, and nothing lands
    outside, whatever an archive says. Raises ProvisioningError.
    """
    landed: Path | None = None
    try:
        with tarfile.open(fileobj=archive, mode="r|") as members:
            for member in members:
                top, *below = (part for part in PurePosixPath(member.name).parts if part != ".")
                if landed is None:
                    landed = local / (called or top) if local.is_dir() else local
                if ".." in below or top in ("..", "/"):
                    raise ProvisioningError(f"refusing to write {member.name!r}, which leads outside")
                _write(members, member, landed.joinpath(*below))
    except tarfile.TarError as error:
        raise ProvisioningError(f"what arrived is not a whole archive: {error}") from error
    except OSError as error:
        raise ProvisioningError(f"{error.filename or local}: {error.strerror or error}") from error
    if landed is None:
        raise ProvisioningError("nothing arrived")
    return landed


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
    elif member.isfile():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = members.extractfile(member)
        assert content is not None
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)
        path.chmod(0o755 if member.mode & 0o100 else 0o644)

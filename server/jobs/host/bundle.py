"""Unpack a bundle that somebody sent: files and folders below one folder, and nothing else."""

import tarfile
from pathlib import Path, PurePosixPath

MAX_MEMBERS = 100_000
_KEPT_MODE = 0o755


class BadBundle(ValueError):
    """A bundle that is not unpacked; the message says which member and why."""


def unpack(bundle: Path, target: Path, max_bytes: int) -> None:
    """Unpack a tar file below a folder.

    Absolute names, `..`, links, devices and more than `max_bytes` in all are refused before anything is written.
    Raises BundleError.
    """
    try:
        with tarfile.open(bundle) as archive:
            members = archive.getmembers()
            _check(members, max_bytes)
            for member in members:
                _extract(archive, member, target)
    except (tarfile.TarError, EOFError) as error:
        raise BadBundle(f"it is not a tar file that can be read: {error}") from error


def _check(members: list[tarfile.TarInfo], max_bytes: int) -> None:
    if len(members) > MAX_MEMBERS:
        raise BadBundle(f"it has {len(members)} members, at most {MAX_MEMBERS} are taken")
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise BadBundle(f"{member.name!r} leads out of the folder")
        if not (member.isfile() or member.isdir()):
            raise BadBundle(f"{member.name!r} is neither a file nor a folder")
    if (total := sum(member.size for member in members)) > max_bytes:
        raise BadBundle(f"it unpacks to {total} bytes, at most {max_bytes} are taken")


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = target / member.name
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    assert source is not None
    with source, path.open("wb") as file:
        while chunk := source.read(1 << 20):
            file.write(chunk)
    path.chmod(member.mode & _KEPT_MODE | 0o600)

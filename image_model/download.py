"""Fetch the files of a catalog entry, from their source or a mirror, checked and resumable.

Runs on the client's side only: an agent never fetches an address it was given. Nothing appears under a file's
final name before its digest was checked, so whatever is there works offline.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from image_model.catalog import CatalogEntry, CatalogFile

CHUNK_BYTES = 256 * 1024
TIMEOUT = httpx.Timeout(30.0, connect=5.0)

Progress = Callable[[CatalogFile, int], None]
"""Called with the file in progress and the bytes of it that are there."""


class DownloadError(Exception):
    """A file could not be fetched; the message says what to do."""


class WrongDigest(DownloadError):
    """The bytes that arrived are not the file the catalog names."""


@dataclass(frozen=True)
class PulledModel:
    """A catalog entry whose files are on this machine."""

    entry: CatalogEntry
    folder: Path

    def path(self, file: CatalogFile) -> Path:
        """Where one file of the entry is."""
        return self.folder / file.name


def pull(
    entry: CatalogEntry, data_folder: Path, *, mirror: str | None = None, progress: Progress | None = None
) -> PulledModel:
    """Make all files of an entry present under `data_folder`/models/<name>, fetching only what is missing.

    `mirror` is a folder, or the URL of one, that holds the files under their catalog names; with it no other
    address is asked. An interrupted transfer goes on where it stopped.

    Raises WrongDigest, DownloadError.
    """
    pulled = PulledModel(entry, data_folder / "models" / entry.name)
    pulled.folder.mkdir(parents=True, exist_ok=True)
    for file in entry.files:
        if not _is_intact(pulled.path(file), file):
            _fetch(file, pulled.path(file), mirror, progress or _silent)
    return pulled


def pulled_model(entry: CatalogEntry, data_folder: Path) -> PulledModel | None:
    """The entry as an earlier `pull` left it, or None when a file is missing or changed."""
    pulled = PulledModel(entry, data_folder / "models" / entry.name)
    return pulled if all(_is_intact(pulled.path(file), file) for file in entry.files) else None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_intact(path: Path, file: CatalogFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size_bytes and file_sha256(path) == file.sha256


def _fetch(file: CatalogFile, destination: Path, mirror: str | None, progress: Progress) -> None:
    part = destination.with_name(destination.name + ".part")
    resumed = part.exists()
    _transfer(file, part, mirror, progress)
    if file_sha256(part) != file.sha256 and resumed:
        part.unlink()  # what was there before may have been of another version: once more, from the start
        _transfer(file, part, mirror, progress)
    found = file_sha256(part)
    if found != file.sha256:
        part.unlink()
        raise WrongDigest(
            f"{file.name} has SHA-256 {found}, the catalog says {file.sha256}: the source holds another version, "
            "or the transfer was tampered with; nothing was kept"
        )
    part.replace(destination)


def _transfer(file: CatalogFile, part: Path, mirror: str | None, progress: Progress) -> None:
    if mirror is not None and "://" not in mirror:
        _copy_from_folder(file, Path(mirror).expanduser() / file.name, part, progress)
        return
    url = f"{mirror.rstrip('/')}/{file.name}" if mirror else file.url
    if url is None:
        raise DownloadError(f"{file.name} has no address in the catalog")
    try:
        _download(file, url, part, progress)
    except httpx.HTTPError as error:
        kept = part.stat().st_size if part.exists() else 0
        raise DownloadError(
            f"could not fetch {url}: {error or type(error).__name__}. {kept} of {file.size_bytes} bytes are kept, the "
            "next pull goes on from there; without a network, set EDGERUN_MODEL_MIRROR to a folder that holds the file"
        ) from error


def _copy_from_folder(file: CatalogFile, source: Path, part: Path, progress: Progress) -> None:
    if not source.is_file():
        raise DownloadError(f"the mirror has no file {source}: put it there, or unset EDGERUN_MODEL_MIRROR")
    shutil.copyfile(source, part)
    progress(file, part.stat().st_size)


def _download(file: CatalogFile, url: str, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have >= file.size_bytes:
        part.unlink()
        have = 0
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT, follow_redirects=True) as response:
        response.raise_for_status()
        resuming = response.status_code == httpx.codes.PARTIAL_CONTENT
        with part.open("ab" if resuming else "wb") as out:
            for chunk in _bounded(response, file.size_bytes - (have if resuming else 0)):
                out.write(chunk)
                progress(file, out.tell())


def _bounded(response: httpx.Response, limit: int) -> Iterator[bytes]:
    received = 0
    for chunk in response.iter_bytes(CHUNK_BYTES):
        received += len(chunk)
        if received > limit:
            raise WrongDigest(f"{response.url} sends more than the {limit} bytes the catalog names; stopped")
        yield chunk


def _silent(file: CatalogFile, received: int) -> None:
    """Progress that nobody watches."""

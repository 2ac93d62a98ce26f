"""What a job left, on its way out: logs as they grow, telemetry as a table, artefacts as a tar."""

import asyncio
import contextlib
import os
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

from server.jobs.record.artifacts import list_artifacts
from server.storage.trees import Folder

CHUNK_BYTES = 64 * 1024
LOG_POLL_S = 0.1


async def follow_log(
    open_log: Callable[[], int | None], offset: int, running: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """A log's bytes from an offset on, then what is added while `running` says so.

    `open_log` gives a descriptor of a regular file: one of anything else might never answer.
    """
    while True:
        last_round = not await running()
        while chunk := await asyncio.to_thread(_read, open_log, offset):
            offset += len(chunk)
            yield chunk
        if last_round:
            return
        await asyncio.sleep(LOG_POLL_S)


def _read(open_log: Callable[[], int | None], offset: int) -> bytes:
    descriptor = open_log()
    if descriptor is None:
        return b""
    try:
        return os.pread(descriptor, CHUNK_BYTES, offset)
    finally:
        os.close(descriptor)


Found = tuple[Sequence[str], str]
"""Where a file is below a folder, step by step, and its path in an archive."""


def kept_files(output: Folder) -> Iterable[Found]:
    """The artefacts that were kept of a job."""
    return ((artifact.path.split("/"), artifact.path) for artifact in list_artifacts(output))


async def stream_tar(
    open_output: Callable[[], AbstractContextManager[Folder]], find: Callable[[Folder], Iterable[Found]] = kept_files
) -> AsyncIterator[bytes]:
    """The files that are found below a folder as a tar, made while it is sent.

    One that is written meanwhile is sent as long as it was when its turn came.
    """
    read_fd, write_fd = os.pipe()
    packing = asyncio.create_task(asyncio.to_thread(_pack, open_output, find, write_fd))
    with os.fdopen(read_fd, "rb", buffering=0) as pipe:
        while chunk := await asyncio.to_thread(pipe.read, CHUNK_BYTES):
            yield chunk
    await packing


def _pack(
    open_output: Callable[[], AbstractContextManager[Folder]],
    find: Callable[[Folder], Iterable[Found]],
    write_fd: int,
) -> None:
    with (
        contextlib.suppress(BrokenPipeError),  # whoever fetched it hung up
        os.fdopen(write_fd, "wb") as pipe,
        open_output() as output,
        tarfile.open(fileobj=pipe, mode="w|") as archive,
    ):
        for place, path in find(output):
            try:
                file = os.fdopen(_opened(output, place), "rb")
            except OSError:  # it was removed meanwhile, or became something else
                continue
            with file:
                _add(archive, path, file)


def _add(archive: tarfile.TarFile, path: str, file: BinaryIO) -> None:
    info = archive.gettarinfo(arcname=path, fileobj=file)
    info.type, info.linkname = tarfile.REGTYPE, ""  # also where it has two names
    archive.addfile(_anonymous(info), _Padded(file))


class _Padded:
    """A file as long as it was when its header was written, with zeros in the place of what was cut off since."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, as tarfile asks for them."""
        return self._file.read(size).ljust(size, b"\0")


def _opened(folder: Folder, parts: Sequence[str]) -> int:
    if len(parts) == 1:
        return folder.open(parts[0])
    with folder.folder(parts[0]) as inner:
        return _opened(inner, parts[1:])


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info

"""What a job left, on its way out: logs as they grow, telemetry as a table, artefacts as a tar."""

import asyncio
import contextlib
import os
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager

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


async def stream_tar(open_output: Callable[[], AbstractContextManager[Folder]]) -> AsyncIterator[bytes]:
    """The files below a folder as a tar, made while it is sent."""
    read_fd, write_fd = os.pipe()
    packing = asyncio.create_task(asyncio.to_thread(_pack, open_output, write_fd))
    with os.fdopen(read_fd, "rb", buffering=0) as pipe:
        while chunk := await asyncio.to_thread(pipe.read, CHUNK_BYTES):
            yield chunk
    await packing


def _pack(open_output: Callable[[], AbstractContextManager[Folder]], write_fd: int) -> None:
    with (
        contextlib.suppress(BrokenPipeError),  # whoever fetched it hung up
        os.fdopen(write_fd, "wb") as pipe,
        open_output() as output,
        tarfile.open(fileobj=pipe, mode="w|") as archive,
    ):
        for artifact in list_artifacts(output):
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                _add(archive, output, artifact.path)


def _add(archive: tarfile.TarFile, output: Folder, path: str) -> None:
    with os.fdopen(_opened(output, path.split("/")), "rb") as file:
        info = archive.gettarinfo(arcname=path, fileobj=file)
        info.type, info.linkname = tarfile.REGTYPE, ""  # also where it has two names
        archive.addfile(_anonymous(info), file)


def _opened(folder: Folder, parts: Sequence[str]) -> int:
    if len(parts) == 1:
        return folder.open(parts[0])
    with folder.folder(parts[0]) as inner:
        return _opened(inner, parts[1:])


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info

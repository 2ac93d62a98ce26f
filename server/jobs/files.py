"""What a job left, on its way out: logs as they grow, telemetry as a table, artefacts as a tar."""

import asyncio
import contextlib
import os
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from contract.tables import csv_line
from contract.telemetry import Telemetry
from server.jobs.results import list_artifacts

CHUNK_BYTES = 64 * 1024
LOG_POLL_S = 0.1


async def follow_log(path: Path, offset: int, running: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
    """A log's bytes from an offset on, then what is added while `running` says so."""
    while True:
        last_round = not await running()
        while chunk := await asyncio.to_thread(_read, path, offset):
            offset += len(chunk)
            yield chunk
        if last_round:
            return
        await asyncio.sleep(LOG_POLL_S)


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)
    except FileNotFoundError:
        return b""


def telemetry_csv(telemetry: Telemetry) -> str:
    """A row a sample, a column a series; an empty field is a value that is missing."""
    lines = [csv_line(["t_s", *telemetry.series])]
    for place, t_s in enumerate(telemetry.t_s):
        lines.append(csv_line([t_s, *(series[place] for series in telemetry.series.values())]))
    return "".join(lines)


async def stream_tar(folder: Path) -> AsyncIterator[bytes]:
    """The files below a folder as a tar, made while it is sent."""
    read_fd, write_fd = os.pipe()
    packing = asyncio.create_task(asyncio.to_thread(_pack, folder, write_fd))
    with os.fdopen(read_fd, "rb", buffering=0) as pipe:
        while chunk := await asyncio.to_thread(pipe.read, CHUNK_BYTES):
            yield chunk
    await packing


def _pack(folder: Path, write_fd: int) -> None:
    with (
        contextlib.suppress(BrokenPipeError),  # whoever fetched it hung up
        os.fdopen(write_fd, "wb") as pipe,
        tarfile.open(fileobj=pipe, mode="w|") as archive,
    ):
        for artifact in list_artifacts(folder):
            archive.add(folder / artifact.path, artifact.path, recursive=False, filter=_anonymous)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info

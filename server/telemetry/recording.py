"""A recording on disk: samples in telemetry.csv as they come, everything else in telemetry.json.

Each sample is one write, so what was measured is there after the agent was killed. The head is replaced as a whole.
"""

import logging
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from contract.tables import csv_line
from contract.telemetry import TELEMETRY_SCHEMA_VERSION, Phase, SamplerQuality, SeriesInfo, Telemetry
from server.storage.trees import Folder

log = logging.getLogger(__name__)

SAMPLES_FILE = "telemetry.csv"
HEAD_FILE = "telemetry.json"
SAMPLES_MAX_BYTES = 512 << 20
HEAD_MAX_BYTES = 16 << 20
OWN_COLUMNS = ("t_s", "late_s", "missed", "sampler_cpu_s")
"""Columns before the series: when, how late, beats missed so far, CPU time of the sampler so far."""


class Head(BaseModel):
    """What telemetry.json holds."""

    schema_version: int = TELEMETRY_SCHEMA_VERSION
    interval_s: float
    started_at: datetime
    info: dict[str, SeriesInfo]
    unavailable: dict[str, str]
    phases: list[Phase]


class Recording:
    """Files of one recording in a folder. Where the disk is full it says so once and keeps what it could not write."""

    def __init__(self, folder: Path) -> None:
        self._path = folder
        self._folder: Folder | None = None
        self._descriptor: int | None = None
        self._size = 0
        self._pending: list[bytes] = []
        self._complained = False

    def begin(self, head: Head) -> None:
        """Write the head and the samples' first line; what was in the folder of an earlier recording is replaced."""
        self._pending = [csv_line([*OWN_COLUMNS, *head.info]).encode()]
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._folder = Folder.at(self._path)
            self._folder.replace(SAMPLES_FILE, b"", sync=False)
            self._descriptor = self._folder.open(SAMPLES_FILE, os.O_WRONLY)
        except OSError as error:
            self._complain(error)
        self._write_pending()
        self.write_head(head)

    def append(self, own: Sequence[float], values: Sequence[float | None]) -> None:
        """Write one sample."""
        fields = [
            *(repr(round(value, 6)) for value in own),
            *("" if value is None else repr(value) for value in values),
        ]
        self._pending.append((",".join(fields) + "\n").encode())
        if not self._complained:
            self._write_pending()

    def write_head(self, head: Head) -> None:
        """Replace telemetry.json."""
        if self._folder is None:
            return
        try:
            self._folder.replace(HEAD_FILE, head.model_dump_json().encode(), sync=False)
        except OSError as error:
            self._complain(error)

    def end(self, head: Head) -> None:
        """Write what is left, in case there is room again, and close."""
        self._write_pending()
        self.write_head(head)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def _write_pending(self) -> None:
        if self._descriptor is None:
            return
        try:
            while self._pending:
                line = self._pending[0]
                if os.pwrite(self._descriptor, line, self._size) != len(line):
                    os.ftruncate(self._descriptor, self._size)
                    raise OSError("no room for a whole line")
                self._size += len(line)
                del self._pending[0]
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            log.warning("telemetry goes on in memory only: %s cannot be written (%s)", self._path, error)


def load_recording(folder: Path) -> Telemetry | None:
    """Read a recording back, also one that was cut off; None where there is none that can be read."""
    try:
        with Folder.at(folder) as opened:
            head = Head.model_validate_json(opened.read(HEAD_FILE, HEAD_MAX_BYTES))
            text = opened.read(SAMPLES_FILE, SAMPLES_MAX_BYTES).decode(errors="replace")
    except (OSError, ValidationError):
        return None
    width = len(OWN_COLUMNS) + len(head.info)
    whole = text[: text.rfind("\n") + 1]
    rows = [row for line in whole.splitlines()[1:] if (row := _numbers(line)) is not None and len(row) == width]
    own = [[value or 0.0 for value in row[: len(OWN_COLUMNS)]] for row in rows]
    series = {key: [row[at] for row in rows] for at, key in enumerate(head.info, len(OWN_COLUMNS))}
    return Telemetry(
        **_of(head),
        t_s=[row[0] for row in own],
        series=series,
        quality=quality_of([row[0] for row in own], [row[1] for row in own], own[-1] if own else (0.0,) * 4),
    )


def quality_of(t_s: Sequence[float], late_s: Sequence[float], last: Sequence[float]) -> SamplerQuality:
    """How well the beat was kept, from times, delays and the last sample's own columns."""
    return SamplerQuality(
        samples=len(t_s),
        missed=int(last[2]),
        late_s_max=round(max(late_s, default=0.0), 6),
        self_cpu_ratio=round(last[3] / last[0], 6) if last[0] > 0 else 0.0,
    )


def _of(head: Head) -> dict[str, Any]:
    return {name: getattr(head, name) for name in Head.model_fields}


def _numbers(line: str) -> list[float | None] | None:
    """None for a line that was damaged."""
    try:
        return [float(field) if field else None for field in line.split(",")]
    except ValueError:
        return None

"""Run folders: what `client bench` found, as files that `client compare` and `client report` read.

A folder holds `run.json` with everything, and the telemetry of each job once more as CSV.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from client.errors import EdgeError
from contract.info import DeviceInfo
from contract.jobs import BenchmarkRequest, Job
from contract.results import BenchmarkResult
from contract.tables import csv_line
from contract.telemetry import Telemetry

RUN_SCHEMA_VERSION = 1
RUN_FILE = "run.json"
RUNS_FOLDER = Path("runs")


class RunError(EdgeError):
    """A run folder cannot be read or written."""

    exit_code = 2


class Entry(BaseModel):
    """One job of a run. What is not known (yet) is None."""

    host: str
    device: DeviceInfo | None = None
    repeat: int = 0
    """Which round of the same configuration, from 0."""
    key: str
    """Idempotency-Key: handing the job in again with it gives the same job."""
    request: BenchmarkRequest
    job: Job | None = None
    result: BenchmarkResult | None = None
    telemetry: Telemetry | None = None
    error: str | None = None
    """Why the client knows no more: the host could not be reached, or refused."""

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be learned."""
        return self.error is not None or (self.job is not None and self.job.state.ended)


class Run(BaseModel):
    """One call of `client bench`: the whole of `run.json`."""

    schema_version: int = RUN_SCHEMA_VERSION
    kind: Literal["edgerun-bench"] = "edgerun-bench"
    created_at: datetime
    name: str
    client_version: str
    entries: list[Entry]


def new_folder(name: str, now: datetime | None = None) -> Path:
    """A folder name in `runs/` for something that begins now: UTC time and name; one that does not exist yet."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    folder = RUNS_FOLDER / f"{stamp}-{file_name(name)}"
    counted = (folder.with_name(f"{folder.name}-{n}") for n in range(2, 10_000))
    return folder if not folder.exists() else next(other for other in counted if not other.exists())


def make_folder(folder: Path) -> Path:
    """Make a folder for results; raises RunError when it has something in it already, or cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RunError(
                f"{folder} is not empty", hint="name another folder: nothing that was measured is overwritten"
            )
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror or error}") from error
    return folder


@contextmanager
def reserved_folder(folder: Path) -> Iterator[Path]:
    """An empty folder for results that are still to come; removed again when none came. Raises RunError."""
    make_folder(folder)
    try:
        yield folder
    finally:
        with suppress(OSError):  # not empty: what came stays
            folder.rmdir()


def file_name(text: str) -> str:
    """A name from outside, as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "unnamed"


def write_run(folder: Path, run: Run) -> None:
    """Replace `run.json` as a whole; raises RunError."""
    write_text(folder / RUN_FILE, run.model_dump_json(indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file so that it appears whole or not at all; raises RunError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error


def write_telemetry_csv(path: Path, telemetry: Telemetry) -> None:
    """A row a sample: seconds since the start, phase, and a column a series; an absent value is an empty cell."""
    keys = list(telemetry.series)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", newline="", encoding="utf-8") as file:
            file.write(csv_line(["t_s", "phase", *keys]))
            for index, t_s in enumerate(telemetry.t_s):
                values = (telemetry.series[key][index] for key in keys)
                file.write(csv_line([t_s, phase_at(telemetry, t_s), *values]))
        part.replace(path)
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error


def phase_at(telemetry: Telemetry, t_s: float) -> str:
    """Name of the phase at a time of the recording, empty outside of all."""
    names = (
        phase.name for phase in telemetry.phases if phase.start_s <= t_s and (phase.end_s is None or t_s < phase.end_s)
    )
    return next(names, "")


def read_run(path: Path) -> Run:
    """The run in a folder, or in a `run.json` itself.

    Raises RunError for what is none, was written by something else, or by a newer edgerun.
    """
    file = path / RUN_FILE if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "`client bench` writes run folders, by default into runs/"
        raise RunError(f"{path} is not a run folder: there is no {RUN_FILE}", hint=hint) from None
    except OSError as error:
        raise RunError(f"{file}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunError(f"{file} is not JSON: {error}") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(version, int) or document.get("kind") != "edgerun-bench":
        raise RunError(f"{file} was not written by `client bench`")
    if version > RUN_SCHEMA_VERSION:
        detail = f"{file} was written by a newer edgerun (schema {version}; this one reads {RUN_SCHEMA_VERSION})"
        raise RunError(detail, hint="install that version here")
    try:
        return Run.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunError(f"{file} is damaged: {where}: {first['msg']}") from error

"""Run folders: what `client bench` found, as files that `client compare` and `client report` read.

A folder holds `run.json` with everything, and the telemetry of each job once more as CSV.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from client.files.saved import RUN_KIND, SCHEMA_VERSIONS, RunError, read_as, read_document, write_text
from contract.info import DeviceInfo
from contract.jobs import BenchmarkRequest, Job
from contract.results import BenchmarkResult
from contract.telemetry import Telemetry

RUN_FILE = "run.json"


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

    schema_version: int = SCHEMA_VERSIONS[RUN_KIND]
    kind: Literal["edgerun-bench"] = "edgerun-bench"
    created_at: datetime
    name: str
    client_version: str
    entries: list[Entry]


def write_run(folder: Path, run: Run) -> None:
    """Replace `run.json` as a whole; raises RunError."""
    write_text(folder / RUN_FILE, run.model_dump_json(indent=1) + "\n")


def read_run(path: Path) -> Run:
    """The run in a folder, or in a `run.json` itself.

    Raises RunError for what is none, was written by something else, or by a newer edgerun.
    """
    file = path / RUN_FILE if path.is_dir() else path
    if not file.exists():
        hint = "`client bench` writes run folders, by default into runs/"
        raise RunError(f"{path} is not a run folder: there is no {RUN_FILE}", hint=hint)
    document = read_document(file)
    if document.get("kind") != RUN_KIND or not isinstance(document.get("schema_version"), int):
        raise RunError(f"{file} was not written by `client bench`")
    return read_as(Run, RUN_KIND, document, file)

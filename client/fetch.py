"""Everything a job left, as files in a folder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from client.edge_client import EdgeClient
from client.errors import EdgeError, Refused
from client.runs import make_folder, write_telemetry_csv, write_text
from client.unpack import unpack
from contract.codes import ErrorCode
from contract.jobs import CommandRequest, Job

ARTIFACTS = "artifacts"
NOT_THERE = frozenset({ErrorCode.NO_RESULT, ErrorCode.RESULT_REMOVED, ErrorCode.NOT_FOUND})


@dataclass
class Fetched:
    """What arrived."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    artifacts: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What the job did not leave, each with the agent's words."""


def fetch_job(client: EdgeClient, job: Job, folder: Path) -> Fetched:
    """Put `job.json`, result, telemetry (JSON and CSV), logs and artefacts of a job into an empty or new folder.

    What a job did not leave is listed, not raised. Raises RunError for a folder that is not empty, UnsafeArchive,
    EdgeError.
    """
    fetched = Fetched(make_folder(folder))
    _keep(fetched, "job.json", lambda path: write_text(path, job.model_dump_json(indent=1) + "\n"))
    _keep(fetched, "result.json", lambda path: _result(client, job, path))
    _keep(fetched, "telemetry.json", lambda path: _telemetry(client, job, path))
    for stream in ("stdout", "stderr"):
        _keep(fetched, f"{stream}.log", lambda path, stream=stream: _log(client, job, stream, path))  # type: ignore[misc]
    if isinstance(job.request, CommandRequest):
        _keep(fetched, "artifacts.tar", lambda path: _artifacts(client, job, path, fetched))
        (folder / "artifacts.tar").unlink(missing_ok=True)
    fetched.files = sorted(path for path in folder.iterdir() if path.is_file())
    return fetched


def _keep(fetched: Fetched, name: str, write: Callable[[Path], None]) -> None:
    try:
        write(fetched.folder / name)
    except Refused as refusal:
        (fetched.folder / name).unlink(missing_ok=True)
        if refusal.problem.code not in NOT_THERE:
            raise
        fetched.missing.append(refusal.problem.detail)


def _result(client: EdgeClient, job: Job, path: Path) -> None:
    write_text(path, client.job_result(job.id).model_dump_json(indent=1) + "\n")


def _telemetry(client: EdgeClient, job: Job, path: Path) -> None:
    telemetry = client.job_telemetry(job.id)
    write_text(path, telemetry.model_dump_json() + "\n")
    write_telemetry_csv(path.with_suffix(".csv"), telemetry)


def _log(client: EdgeClient, job: Job, stream: str, path: Path) -> None:
    with path.open("wb") as file:
        for chunk in client.job_logs(job.id, stream):
            file.write(chunk)


def _artifacts(client: EdgeClient, job: Job, path: Path, fetched: Fetched) -> None:
    try:
        client.job_artifacts(job.id, path)
        fetched.artifacts = unpack(path, path.parent / ARTIFACTS)
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror or error}") from error
    finally:
        path.unlink(missing_ok=True)

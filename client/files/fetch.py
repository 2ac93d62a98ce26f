"""Everything a job left, as files in a folder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from client.errors import BadAnswer, EdgeError, Refused
from client.files.saved import make_folder, write_job, write_telemetry_csv, write_text
from client.files.unpack import unpack
from client.sdk.edge_client import EdgeClient
from client.sdk.events import FILE_MAX_BYTES, check_room
from contract.codes import ErrorCode
from contract.jobs import CommandRequest, Job
from contract.results import ArtifactInfo, CommandResult

HEADERS_BYTES = 8192
"""What an archive needs for one file besides its content, at most."""
ARCHIVE_BYTES = 1024 * 1024
"""What an archive may need besides its files."""
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
    announced: list[ArtifactInfo] = []
    _keep(fetched, "job.json", lambda path: write_job(path.parent, job))
    _keep(fetched, "result.json", lambda path: _result(client, job, path, announced))
    _keep(fetched, "telemetry.json", lambda path: _telemetry(client, job, path))
    for stream in ("stdout", "stderr"):
        _keep(fetched, f"{stream}.log", lambda path, stream=stream: fetch_log(client, job, stream, path))  # type: ignore[misc]
    if isinstance(job.request, CommandRequest):
        _keep(fetched, "artifacts.tar", lambda path: _artifacts(client, job, path, fetched, announced))
        (folder / "artifacts.tar").unlink(missing_ok=True)
    fetched.files = sorted(path for path in folder.iterdir() if path.is_file())
    return fetched


def _keep(fetched: Fetched, name: str, write: Callable[[Path], None]) -> None:
    path = fetched.folder / name
    try:
        write(path)
    except Refused as refusal:
        path.unlink(missing_ok=True)
        if refusal.problem.code not in NOT_THERE:
            raise
        fetched.missing.append(refusal.problem.detail)
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror or error}") from error


def _result(client: EdgeClient, job: Job, path: Path, announced: list[ArtifactInfo]) -> None:
    result = client.job_result(job.id)
    if isinstance(result, CommandResult):
        announced += result.artifacts
    write_text(path, result.model_dump_json(indent=1) + "\n")


def _telemetry(client: EdgeClient, job: Job, path: Path) -> None:
    telemetry = client.job_telemetry(job.id)
    write_text(path, telemetry.model_dump_json() + "\n")
    write_telemetry_csv(path.with_suffix(".csv"), telemetry)


def fetch_log(client: EdgeClient, job: Job, stream: str, path: Path, *, more: bool = False) -> None:
    """Write what a program has printed so far into a file, with `more` only what is not in it yet.

    Raises EdgeError, and OSError when it cannot be written.
    """
    with path.open("ab" if more else "wb") as file:
        written_bytes = file.tell()
        for chunk in client.job_logs(job.id, stream, written_bytes):
            check_room(path.parent)
            written_bytes += file.write(chunk)
            if written_bytes > FILE_MAX_BYTES:
                raise BadAnswer(client.host.name, f"{stream} is larger than {FILE_MAX_BYTES} bytes")


def _artifacts(client: EdgeClient, job: Job, path: Path, fetched: Fetched, announced: list[ArtifactInfo]) -> None:
    sizes = sum(file.size_bytes + HEADERS_BYTES for file in announced)
    try:
        client.job_artifacts(job.id, path, 2 * sizes + ARCHIVE_BYTES if announced else FILE_MAX_BYTES)
        fetched.artifacts = unpack(path, path.parent / ARTIFACTS)
    finally:
        path.unlink(missing_ok=True)

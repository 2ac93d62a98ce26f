"""What a report is made of: run folders, folders of fetched jobs, and saved profiles."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from client.analysis.runs import RUN_FILE, Entry, Run, read_run
from client.files.saved import JOB_KIND, RUN_KIND, TELEMETRY_KIND, RunError, read_as, read_document
from contract.jobs import BenchmarkRequest, CommandRequest, Job
from contract.results import BenchmarkResult, CommandResult, ProfileResult, job_result
from contract.telemetry import Telemetry

HINT = (
    "a report takes folders of `client bench`, `client run` and `client jobs results`, and files of "
    "`client profile --save`"
)


@dataclass(frozen=True)
class JobFolder:
    """A job as `client run` and `client jobs results` keep it."""

    name: str
    job: Job
    result: BenchmarkResult | ProfileResult | CommandResult | None
    telemetry: Telemetry | None


@dataclass
class Sources:
    """Everything that was read, in the order of the paths."""

    runs: list[tuple[str, Run]] = field(default_factory=list)
    profiles: list[tuple[str, ProfileResult]] = field(default_factory=list)
    programs: list[JobFolder] = field(default_factory=list)


def read_sources(paths: Sequence[Path]) -> Sources:
    """Read every path; raises RunError for one that holds no result."""
    found = Sources()
    for name, path in zip(short_names(paths), paths, strict=True):
        _read(found, name, path)
    return found


def short_names(paths: Sequence[Path]) -> list[str]:
    """Names for paths: the folder's or the file's, where these differ."""
    short = [path.parent.name if path.name == RUN_FILE else path.resolve().stem for path in paths]
    folders = [path.resolve().name if path.is_dir() else name for path, name in zip(paths, short, strict=True)]
    return folders if len(set(folders)) == len(folders) else [str(path) for path in paths]


def _read(found: Sources, name: str, path: Path) -> None:
    if path.is_dir() and not (path / RUN_FILE).exists() and (path / "job.json").exists():
        _take_job(found, _job_folder(name, path))
        return
    if path.is_dir() or path.name == RUN_FILE:
        try:
            found.runs.append((name, read_run(path)))
        except RunError as error:
            error.hint = error.hint or HINT
            raise
        return
    document = read_document(path, HINT)
    if document.get("kind") == RUN_KIND:
        found.runs.append((name, read_run(path)))
        return
    inner = document.get("result") if "job" in document else document  # `client profile -o json` names host and job
    if not isinstance(inner, dict) or inner.get("kind") != "profile":
        raise RunError(f"{path} holds neither a run nor a profile", hint=HINT)
    found.profiles.append((name, read_as(ProfileResult, "profile", inner, path)))


def _take_job(found: Sources, folder: JobFolder) -> None:
    if isinstance(folder.result, ProfileResult):
        found.profiles.append((folder.name, folder.result))
    elif isinstance(folder.job.request, CommandRequest):
        found.programs.append(folder)
    elif isinstance(folder.job.request, BenchmarkRequest):
        found.runs.append((folder.name, _lone(folder, folder.job.request)))
    else:
        raise RunError(f"{folder.name} is a profile without a result", hint=HINT)


def _lone(folder: JobFolder, request: BenchmarkRequest) -> Run:
    """A run of one job; its host is what the device calls itself."""
    result = folder.result if isinstance(folder.result, BenchmarkResult) else None
    host = result.conditions.device_name if result else folder.name
    entry = Entry(host=host, key="", request=request, job=folder.job, result=result, telemetry=folder.telemetry)
    created_at, client_version = folder.job.created_at, version("edgerun")
    return Run(created_at=created_at, name=folder.name, client_version=client_version, entries=[entry])


def _job_folder(name: str, path: Path) -> JobFolder:
    job = read_as(Job, JOB_KIND, read_document(path / "job.json"), path / "job.json")
    result, telemetry = None, None
    if (path / "result.json").exists():
        document = read_document(path / "result.json")
        result = read_as(job_result, job.request.kind, document, path / "result.json")
    if (path / "telemetry.json").exists():
        document = read_document(path / "telemetry.json")
        telemetry = read_as(Telemetry, TELEMETRY_KIND, document, path / "telemetry.json")
    return JobFolder(name, job, result, telemetry)

"""What a report is made of: run folders, folders of fetched jobs, and saved profiles."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from client.analysis.runs import RUN_FILE, Entry, Run, RunError, read_run
from contract.jobs import BenchmarkRequest, CommandRequest, Job
from contract.results import BenchmarkResult, CommandResult, ProfileResult, job_result
from contract.telemetry import Telemetry

M = TypeVar("M", bound=BaseModel)

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
    document = _document(path)
    if document.get("kind") == "edgerun-bench":
        found.runs.append((name, read_run(path)))
        return
    inner = document.get("result") if "job" in document else document  # `client profile -o json` names host and job
    if not isinstance(inner, dict) or inner.get("kind") != "profile":
        raise RunError(f"{path} holds neither a run nor a profile", hint=HINT)
    found.profiles.append((name, _validated(ProfileResult, inner, path)))


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
    job = _validated(Job, _document(path / "job.json"), path / "job.json")
    result, telemetry = None, None
    if (path / "result.json").exists():
        try:
            result = job_result.validate_python(_document(path / "result.json"))
        except ValidationError as error:
            raise _damaged(path / "result.json", error) from error
    if (path / "telemetry.json").exists():
        telemetry = _validated(Telemetry, _document(path / "telemetry.json"), path / "telemetry.json")
    return JobFolder(name, job, result, telemetry)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"there is no {path}", hint=HINT) from None
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunError(f"{path} is not JSON: {error}", hint=HINT) from error
    if not isinstance(document, dict):
        raise RunError(f"{path} holds no result of edgerun", hint=HINT)
    return document


def _validated(kind: type[M], document: Any, path: Path) -> M:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: ValidationError) -> RunError:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return RunError(f"{path} is damaged or was written by another version of edgerun: {where}: {first['msg']}")

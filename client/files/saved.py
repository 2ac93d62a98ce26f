"""Files that the client saves of what was measured: written whole, each with the version of its form.

Readers take every version ever written (tests/client/saved has one of each, from the code of its time) and refuse
those of a newer edgerun. A form whose fields only become more keeps its version; what older files lack is filled in
here (`_UPGRADES`).
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from client.errors import EdgeError
from contract.jobs import Job
from contract.results import RESULT_SCHEMA_VERSION
from contract.shares import cumulative_shares
from contract.tables import telemetry_lines
from contract.telemetry import TELEMETRY_SCHEMA_VERSION, Telemetry

T = TypeVar("T")

RUNS_FOLDER = Path("runs")
RUN_KIND, JOB_KIND, TELEMETRY_KIND = "edgerun-bench", "edgerun-job", "telemetry"
SCHEMA_VERSIONS = {
    RUN_KIND: 1,
    JOB_KIND: 1,
    TELEMETRY_KIND: TELEMETRY_SCHEMA_VERSION,
    **dict.fromkeys(("benchmark", "profile", "command"), RESULT_SCHEMA_VERSION),
}
"""By kind of document, the newest version that this edgerun writes and reads."""


class RunError(EdgeError):
    """A file of results cannot be read or written."""

    exit_code = 2


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
    """An empty folder for results that are still to come; raises RunError.

    When none came it is removed again, with the folders above it that were made for it.
    """
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    make_folder(folder)
    try:
        yield folder
    finally:
        with suppress(OSError):  # not empty: what came stays
            for each in new or [folder]:
                each.rmdir()


def file_name(text: str) -> str:
    """A name from outside, as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80] or "unnamed"


def write_text(path: Path, text: str) -> None:
    """Write a file so that it appears whole or not at all; raises RunError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error


def write_job(folder: Path, job: Job) -> None:
    """Write `job.json` into a folder; raises RunError."""
    version = {"kind": JOB_KIND, "schema_version": SCHEMA_VERSIONS[JOB_KIND]}
    write_text(folder / "job.json", json.dumps(version | job.model_dump(mode="json"), indent=1) + "\n")


def write_telemetry_csv(path: Path, telemetry: Telemetry) -> None:
    """Write a recording as a table beside `telemetry.json`, which has the version; raises RunError."""
    write_text(path, "".join(telemetry_lines(telemetry)))


def read_document(path: Path, hint: str | None = None) -> dict[str, Any]:
    """The JSON object in a file; raises RunError for anything else, with the hint where there is no file or no JSON."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"there is no {path}", hint=hint) from None
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunError(f"{path} is not JSON: {error}", hint=hint) from error
    if not isinstance(document, dict):
        raise RunError(f"{path} holds no result of edgerun", hint=hint)
    return document


def read_as(form: type[T] | TypeAdapter[T], kind: str, document: Mapping[str, Any], path: Path) -> T:
    """A document of a kind, of whatever version; raises RunError for a newer or damaged one.

    `path` is where it was read, for the error's text. Files of before versions were noted count as version 1.
    """
    version = document.get("schema_version", 1)
    newest = SCHEMA_VERSIONS[kind]
    if not isinstance(version, int):
        raise RunError(f"{path} is damaged: schema_version is {version!r}")
    if version > newest:
        detail = f"{path} was written by a newer edgerun (schema {version}; this one reads {newest})"
        raise RunError(detail, hint="install that version here")
    upgrade = _UPGRADES.get(kind)
    adapter = form if isinstance(form, TypeAdapter) else TypeAdapter(form)
    try:
        return adapter.validate_python(upgrade(document) if upgrade is not None else document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunError(f"{path} is damaged: {where}: {first['msg']}") from error


def _with_cumulative_shares(profile: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first profiles did not say what share of the time an operator and all slower ones take together."""
    operators = profile.get("operators")
    if not isinstance(operators, list) or not all(isinstance(each, dict) and "share" in each for each in operators):
        return profile  # damaged, as its reader will say
    if all("cumulative_share" in each for each in operators):
        return profile
    sums = cumulative_shares([each["share"] for each in operators])
    rows = [{**each, "cumulative_share": reached} for each, reached in zip(operators, sums, strict=True)]
    return {**profile, "operators": rows}


_UPGRADES: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {"profile": _with_cumulative_shares}
"""By kind: what makes a document of an older version one of today."""

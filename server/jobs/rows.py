"""The table of jobs, and its rows as jobs."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.jobs import Job, JobError, JobState, JobSummary, job_request, title_of
from contract.validity import Verdict

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    request TEXT NOT NULL,
    idempotency_key TEXT UNIQUE,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    error TEXT,
    verdict TEXT,
    process TEXT,
    stored_bytes INTEGER NOT NULL DEFAULT 0,
    evicted INTEGER NOT NULL DEFAULT 0,
    kind TEXT NOT NULL,
    name TEXT,
    title TEXT NOT NULL,
    request_bytes INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, priority DESC, number);
CREATE INDEX IF NOT EXISTS by_end ON jobs (ended_at) WHERE ended_at IS NOT NULL AND evicted = 0;
"""
STATUS_COLUMNS = "number, id, state, attempts, created_at, started_at, ended_at, error, verdict, stored_bytes, evicted"
COLUMNS = f"{STATUS_COLUMNS}, request, process"
SUMMARY_COLUMNS = f"{STATUS_COLUMNS}, kind, name, title"


@dataclass(frozen=True)
class StoredProcess:
    """The process that ran a job, so that one left over from an agent that died can be told from a namesake."""

    pid: int
    started_ticks: int
    boot_id: str
    group: str | None = None
    """Folder of its control group, where it has one."""


@dataclass(frozen=True)
class Tally:
    """All jobs of the list, counted."""

    changes: int = -1
    """Rows that were written since the list was opened, which only grows."""
    counts: Mapping[JobState, int] = field(default_factory=dict)
    evicted: int = 0
    stored_bytes: int = 0
    ended: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Jobs that ended since the list was opened, by kind and state; jobs that were removed since count too."""


@dataclass(frozen=True)
class StoredJob:
    """A row of the list."""

    job: Job
    process: StoredProcess | None


def open_table(path: Path, *first: str) -> sqlite3.Connection:
    """Open or make the table, after these statements; raises sqlite3.Error."""
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        # FULL: acknowledged means on the disk.
        for statement in (*first, "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"):
            db.execute(statement)
        _add_summaries(db)
        db.executescript(SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _add_summaries(db: sqlite3.Connection) -> None:
    """Bring a list that was made before it had summaries up to date."""
    columns = {name for _, name, *_ in db.execute("PRAGMA table_info(jobs)")}
    if not columns or "title" in columns:
        return
    with db:
        db.execute("BEGIN")
        for column in ("kind TEXT", "name TEXT", "title TEXT", "request_bytes INTEGER NOT NULL DEFAULT 0"):
            db.execute(f"ALTER TABLE jobs ADD COLUMN {column}")
        for number, text in db.execute("SELECT number, request FROM jobs").fetchall():
            values = (*_read_summary(text), len(text.encode()), number)
            changes = "kind = ?, name = ?, title = ?, request_bytes = ?"
            db.execute(f"UPDATE jobs SET {changes} WHERE number = ?", values)


def _read_summary(text: str) -> tuple[str, str | None, str]:
    """Kind, name and title of a request, as far as they can still be read."""
    try:
        asked = json.loads(text)
        kind, name = str(asked["kind"]), asked.get("name")
    except (ValueError, KeyError, TypeError):
        return "command", None, "?"
    try:
        return kind, name, title_of(job_request.validate_python(asked))
    except ValueError:  # it was taken once, and would not be any more
        return kind, name, kind


def _status(row: tuple[Any, ...]) -> dict[str, Any]:
    """What every job has, from STATUS_COLUMNS."""
    number, job_id, state, attempts, created, started, ended, error, verdict, stored, evicted = row
    return {
        "id": job_id,
        "number": number,
        "state": JobState(state),
        "attempts": attempts,
        "created_at": created,
        "started_at": started,
        "ended_at": ended,
        "error": JobError.model_validate_json(error) if error else None,
        "verdict": Verdict(verdict) if verdict else None,
        "stored_bytes": stored,
        "evicted": bool(evicted),
    }


def readable(row: tuple[Any, ...]) -> StoredJob | None:
    """A job, from COLUMNS; None for one that another version stored, or that was damaged."""
    try:
        return _stored(row)
    except (ValueError, TypeError):
        return None


def _stored(row: tuple[Any, ...]) -> StoredJob:
    *status, request, process = row
    job = Job(**_status(tuple(status)), request=job_request.validate_json(request))
    return StoredJob(job, StoredProcess(**json.loads(process)) if process else None)


def summary(row: tuple[Any, ...]) -> JobSummary:
    """A job in a list, from SUMMARY_COLUMNS; raises ValueError, TypeError."""
    *status, kind, name, title = row
    return JobSummary(**_status(tuple(status)), kind=kind, name=name, title=title)

"""The list of jobs: SQLite, so that what was acknowledged is there after any end of the agent.

Everything large (results, logs, telemetry, artefacts) lies in one folder a job; the list has what must be found fast.
"""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract.codes import ErrorCode
from contract.jobs import AnyRequest, Job, JobError, JobState, job_request
from contract.validity import Verdict
from server.disk import FULL
from server.errors import AgentError

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
    evicted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, priority DESC, number);
CREATE INDEX IF NOT EXISTS by_end ON jobs (ended_at) WHERE ended_at IS NOT NULL AND evicted = 0;
"""
COLUMNS = (
    "number, id, state, request, attempts, created_at, started_at, ended_at, error, verdict, process, stored_bytes, "
    "evicted"
)
_FULL = ("database or disk is full", "disk I/O error")


@dataclass(frozen=True)
class StoredProcess:
    """The process that ran a job, so that one left over from an agent that died can be told from a namesake."""

    pid: int
    started_ticks: int
    boot_id: str
    group: str | None = None
    """Folder of its control group, where it has one."""
    uid: int | None = None
    """A user that runs nothing but programs of this agent."""


@dataclass(frozen=True)
class StoredJob:
    """A row of the list."""

    job: Job
    process: StoredProcess | None


@dataclass(frozen=True)
class Page:
    """Part of the list, newest first."""

    jobs: Sequence[Job]
    next: int | None
    counts: Mapping[JobState, int]
    evicted: int
    stored_bytes: int


class JobStore:
    """All jobs of an agent. Not safe for use from two threads at once."""

    def __init__(self, folder: Path) -> None:
        """Open or make the list under a folder; raises OSError where the disk is full or the file is no list."""
        self.folder = folder / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True)
        path = folder / "jobs.sqlite"
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # acknowledged means on the disk
            self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"the list of jobs {path} cannot be used ({error}): make room, or move it away") from error

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    @property
    def changes(self) -> int:
        """Rows that were written since the list was opened; it only grows."""
        return self._db.total_changes

    def folder_of(self, job_id: str) -> Path:
        """Where everything of a job lies."""
        return self.folder / job_id

    def add(self, job_id: str, request: AnyRequest, key: str | None) -> tuple[Job, bool]:
        """Store a job; gives it and whether it is new.

        A key that was used before gives the job it was used for. Raises AgentError: IDEMPOTENCY_CONFLICT when that one
        was another request, STORAGE_FULL.
        """
        body = request.model_dump_json()
        with _clear_errors():
            if key is not None and (known := self._one("idempotency_key = ?", key)):
                if known.job.request != request:
                    raise AgentError(ErrorCode.IDEMPOTENCY_CONFLICT, f"the key belongs to job {known.job.id}")
                return known.job, False
            columns = "id, state, priority, request, idempotency_key, created_at"
            values = (job_id, JobState.QUEUED, request.priority, body, key, _now())
            self._db.execute(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)
        return self.get(job_id).job, True

    def get(self, job_id: str) -> StoredJob:
        """One job; raises AgentError UNKNOWN_JOB."""
        found = self._one("id = ?", job_id)
        if found is None:
            raise AgentError(ErrorCode.UNKNOWN_JOB, f"no job {job_id!r} here")
        if found.job.state is JobState.QUEUED:
            found.job.position = self._positions().get(found.job.number)
        return found

    def page(self, limit: int, before: int | None, states: Sequence[JobState]) -> Page:
        """Jobs with a smaller number than `before`, newest first."""
        where, values = ["number < ?"], [before if before is not None else 1 << 62]
        marks = ", ".join("?" for _ in states)
        if states:
            where.append(f"state IN ({marks})")
        query = f"SELECT {COLUMNS} FROM jobs WHERE {' AND '.join(where)} ORDER BY number DESC LIMIT ?"
        rows = self._db.execute(query, (*values, *states, limit + 1)).fetchall()
        jobs = [_stored(row).job for row in rows[:limit]]
        if any(job.state is JobState.QUEUED for job in jobs):
            positions = self._positions()
            for job in jobs:
                job.position = positions.get(job.number)
        more = jobs[-1].number if len(rows) > limit else None
        counts = {
            JobState(state): count
            for state, count in self._db.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state")
        }
        evicted, stored = self._db.execute(
            "SELECT COALESCE(SUM(evicted), 0), COALESCE(SUM(stored_bytes), 0) FROM jobs"
        ).fetchone()
        return Page(jobs, more, counts, evicted, stored)

    def ids(self) -> set[str]:
        """Ids of all jobs."""
        return {job_id for (job_id,) in self._db.execute("SELECT id FROM jobs")}

    def next_queued(self) -> Job | None:
        """Whose turn it is."""
        found = self._one("state = ? ORDER BY priority DESC, number LIMIT 1", JobState.QUEUED)
        return found.job if found else None

    def in_state(self, state: JobState) -> list[StoredJob]:
        """All jobs in a state, oldest first."""
        rows = self._db.execute(f"SELECT {COLUMNS} FROM jobs WHERE state = ? ORDER BY number", (state,))
        return [_stored(row) for row in rows.fetchall()]

    def started(self, job_id: str) -> bool:
        """Note that a queued job runs now; False when it is not queued any more."""
        query = "UPDATE jobs SET state = ?, started_at = ?, attempts = attempts + 1 WHERE id = ? AND state = ?"
        return self._update(query, JobState.RUNNING, _now(), job_id, JobState.QUEUED)

    def has_process(self, job_id: str, process: StoredProcess) -> None:
        """Note which process runs a job."""
        self._update("UPDATE jobs SET process = ? WHERE id = ?", json.dumps(vars(process)), job_id)

    def requeued(self, job_id: str) -> None:
        """Put a job that was cut off back to its place in the queue."""
        query = "UPDATE jobs SET state = ?, started_at = NULL, process = NULL WHERE id = ?"
        self._update(query, JobState.QUEUED, job_id)

    def ended(
        self, job_id: str, state: JobState, error: JobError | None, verdict: Verdict | None, stored_bytes: int
    ) -> None:
        """Note how a job ended."""
        changes = "state = ?, ended_at = ?, error = ?, verdict = ?, stored_bytes = ?, process = NULL"
        why = error.model_dump_json() if error else None
        self._update(f"UPDATE jobs SET {changes} WHERE id = ?", state, _now(), why, verdict, stored_bytes, job_id)

    def cancel_queued(self, job_id: str) -> bool:
        """Cancel a job that has not begun; False when it has."""
        query = "UPDATE jobs SET state = ?, ended_at = ? WHERE id = ? AND state = ?"
        return self._update(query, JobState.CANCELLED, _now(), job_id, JobState.QUEUED)

    def delete(self, job_id: str) -> None:
        """Forget an ended job and all it left; raises AgentError JOB_ACTIVE, UNKNOWN_JOB."""
        job = self.get(job_id).job
        if not job.state.ended:
            raise AgentError(ErrorCode.JOB_ACTIVE, f"job {job_id} is {job.state}")
        shutil.rmtree(self.folder_of(job_id), ignore_errors=True)
        self._update("DELETE FROM jobs WHERE id = ?", job_id)

    def keep_within(self, quota_bytes: int) -> list[str]:
        """Remove what ended jobs left, oldest first, until all of it fits; the jobs stay in the list, marked."""
        total = self._db.execute("SELECT COALESCE(SUM(stored_bytes), 0) FROM jobs").fetchone()[0]
        query = "SELECT id, stored_bytes FROM jobs WHERE ended_at IS NOT NULL AND evicted = 0 ORDER BY ended_at"
        removed = []
        for job_id, stored in self._db.execute(query).fetchall():
            if total <= quota_bytes:
                break
            shutil.rmtree(self.folder_of(job_id), ignore_errors=True)
            self._update("UPDATE jobs SET evicted = 1, stored_bytes = 0 WHERE id = ?", job_id)
            total -= stored
            removed.append(job_id)
        return removed

    def _update(self, query: str, *values: object) -> bool:
        with _clear_errors():
            return self._db.execute(query, values).rowcount > 0

    def _one(self, where: str, *values: object) -> StoredJob | None:
        row = self._db.execute(f"SELECT {COLUMNS} FROM jobs WHERE {where}", values).fetchone()
        return _stored(row) if row else None

    def _positions(self) -> dict[int, int]:
        query = "SELECT number FROM jobs WHERE state = ? ORDER BY priority DESC, number"
        return {number: place for place, (number,) in enumerate(self._db.execute(query, (JobState.QUEUED,)))}


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except (sqlite3.Error, OSError) as error:
        if any(words in str(error) for words in _FULL) or getattr(error, "errno", None) in FULL:
            raise AgentError(
                ErrorCode.STORAGE_FULL,
                f"the job cannot be stored: {error}",
                hint="remove jobs with `client jobs rm ID`",
            ) from error
        raise


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _stored(row: tuple[Any, ...]) -> StoredJob:
    number, job_id, state, request, attempts, created, started, ended, error, verdict, process, stored, evicted = row
    job = Job(
        id=job_id,
        number=number,
        request=job_request.validate_json(request),
        state=JobState(state),
        attempts=attempts,
        created_at=created,
        started_at=started,
        ended_at=ended,
        error=JobError.model_validate_json(error) if error else None,
        verdict=Verdict(verdict) if verdict else None,
        stored_bytes=stored,
        evicted=bool(evicted),
    )
    return StoredJob(job, StoredProcess(**json.loads(process)) if process else None)

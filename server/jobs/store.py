"""The list of jobs: SQLite, so that what was acknowledged is there after any end of the agent.

Everything large (results, logs, telemetry, artefacts) lies in one folder a job; the list has what must be found fast.
"""

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract.codes import ErrorCode
from contract.jobs import AnyRequest, Job, JobError, JobState, JobSummary, title_of
from contract.specs import NUMBER_MAX
from contract.validity import Verdict
from server.errors import AgentError
from server.jobs.record.folders import JobFolders
from server.jobs.rows import COLUMNS, SUMMARY_COLUMNS, StoredJob, StoredProcess, Tally, open_table, readable, summary
from server.resources import MIB
from server.storage.trees import FULL

PAGE_MAX_BYTES = 512 * 1024
"""About as much as a page of the list may have as JSON."""
SUMMARY_BYTES = 400
"""What a summary has as JSON beside its texts."""
QUEUED_MAX = 1000
QUEUED_MAX_BYTES = 32 * MIB
ENDED_MAX_BYTES = 64 * MIB
"""The most bytes of requests of ended jobs; the oldest jobs are forgotten first."""
DETAIL_MAX_CHARS = 2000
_FULL = ("database or disk is full", "disk I/O error")


@dataclass(frozen=True)
class Page:
    """Part of the list, newest first."""

    jobs: Sequence[JobSummary]
    next: int | None
    tally: Tally


class JobStore:
    """All jobs of an agent. Not safe for use from two threads at once."""

    def __init__(
        self,
        data: Path,
        folders: JobFolders,
        queued_max: int = QUEUED_MAX,
        queued_max_bytes: int = QUEUED_MAX_BYTES,
    ) -> None:
        """Open or make the list under a folder; raises OSError where that cannot be done at all."""
        self._queued_max, self._queued_max_bytes = queued_max, queued_max_bytes
        self.folders = folders
        self._tally, self._ended = Tally(), Counter[tuple[str, str]]()
        path = data / "jobs.sqlite"
        try:
            try:
                self._db = open_table(path)
            except sqlite3.OperationalError:  # a full disk has no room for the index of the log, memory has
                self._db = open_table(path, "PRAGMA locking_mode = EXCLUSIVE")
        except sqlite3.Error as error:
            raise OSError(f"the list of jobs {path} cannot be used ({error}): make room, or move it away") from error

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def tally(self) -> Tally:
        """How many jobs there are; counted anew when something was written, else as it was."""
        if self._tally.changes != self._db.total_changes:
            counts = self._db.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state")
            sums = "SELECT COALESCE(SUM(evicted), 0), COALESCE(SUM(stored_bytes), 0) FROM jobs"
            by_state = {JobState(state): count for state, count in counts}
            evicted, stored = self._db.execute(sums).fetchone()
            self._tally = Tally(self._db.total_changes, by_state, evicted, stored, dict(self._ended))
        return self._tally

    def add(self, job_id: str, request: AnyRequest, key: str | None) -> tuple[Job, bool]:
        """Store a job; gives it and whether it is new.

        A key that was used before gives the job it was used for. Raises AgentError: IDEMPOTENCY_CONFLICT when that one
        was another request, JOBS_FULL, STORAGE_FULL.
        """
        body = request.model_dump_json().encode()
        with _clear_errors():
            if key is not None and (known := self._one("idempotency_key = ?", key)):
                if known.job.request != request:
                    raise AgentError(ErrorCode.IDEMPOTENCY_CONFLICT, f"the key belongs to job {known.job.id}")
                return known.job, False
            self._require_room(len(body))
            columns = "id, state, priority, request, idempotency_key, created_at, kind, name, title, request_bytes"
            told = (request.kind, request.name, title_of(request), len(body))
            values = (job_id, JobState.QUEUED, request.priority, body, key, _now(), *told)
            marks = ", ".join("?" for _ in values)
            self._db.execute(f"INSERT INTO jobs ({columns}) VALUES ({marks})", values)
        return self.get(job_id).job, True

    def get(self, job_id: str) -> StoredJob:
        """One job; raises AgentError UNKNOWN_JOB."""
        found = self._one("id = ?", job_id)
        if found is None:
            raise _unknown(job_id)
        if found.job.state is JobState.QUEUED:
            found.job.position = self._positions().get(found.job.number)
        return found

    def page(self, limit: int, before: int | None, states: Sequence[JobState]) -> Page:
        """Jobs with a smaller number than `before`, newest first."""
        where, values = ["number < ?"], [before if before is not None else NUMBER_MAX]
        marks = ", ".join("?" for _ in states)
        if states:
            where.append(f"state IN ({marks})")
        query = f"SELECT {SUMMARY_COLUMNS} FROM jobs WHERE {' AND '.join(where)} ORDER BY number DESC LIMIT ?"
        jobs, more, size = list[JobSummary](), None, 0
        for row in self._db.execute(query, (*values, *states, limit + 1)):
            size += SUMMARY_BYTES + sum(len(field.encode()) for field in row if isinstance(field, str))
            if len(jobs) == limit or (jobs and size > PAGE_MAX_BYTES):
                more = jobs[-1].number
                break
            with contextlib.suppress(ValueError, TypeError):  # one that was damaged
                jobs.append(summary(row))
        if any(job.state is JobState.QUEUED for job in jobs):
            positions = self._positions()
            for job in jobs:
                job.position = positions.get(job.number)
        return Page(jobs, more, self.tally())

    def ids(self) -> set[str]:
        """Ids of all jobs."""
        return {job_id for (job_id,) in self._db.execute("SELECT id FROM jobs")}

    def next_queued(self) -> Job | None:
        """Whose turn it is. Jobs that cannot be read any more have failed."""
        query = f"SELECT {COLUMNS} FROM jobs WHERE state = ? ORDER BY priority DESC, number LIMIT 1"
        while (row := self._db.execute(query, (JobState.QUEUED,)).fetchone()) is not None:
            if (found := self._readable_or_failed(row)) is not None:
                return found.job
        return None

    def running(self) -> list[StoredJob]:
        """All jobs that run as far as the list knows, oldest first. Jobs that cannot be read any more have failed."""
        rows = self._db.execute(f"SELECT {COLUMNS} FROM jobs WHERE state = ? ORDER BY number", (JobState.RUNNING,))
        return [found for row in rows.fetchall() if (found := self._readable_or_failed(row)) is not None]

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
        why = _readable_error(error).model_dump_json() if error else None
        self._update(f"UPDATE jobs SET {changes} WHERE id = ?", state, _now(), why, verdict, stored_bytes, job_id)
        self._count_end(job_id, state)

    def cancel_queued(self, job_id: str) -> bool:
        """Cancel a job that has not begun; False when it has."""
        query = "UPDATE jobs SET state = ?, ended_at = ? WHERE id = ? AND state = ?"
        cancelled = self._update(query, JobState.CANCELLED, _now(), job_id, JobState.QUEUED)
        if cancelled:
            self._count_end(job_id, JobState.CANCELLED)
        return cancelled

    def delete(self, job_id: str) -> None:
        """Forget an ended job and all it left; raises AgentError JOB_ACTIVE, UNKNOWN_JOB."""
        row = self._db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise _unknown(job_id)
        if not JobState(row[0]).ended:
            raise AgentError(ErrorCode.JOB_ACTIVE, f"job {job_id} is {row[0]}")
        self.folders.drop(job_id)
        self._update("DELETE FROM jobs WHERE id = ?", job_id)

    def keep_within(self, quota_bytes: int) -> list[str]:
        """Remove what ended jobs left, oldest first, until all of it fits; the jobs stay in the list, marked."""
        total = self._db.execute("SELECT COALESCE(SUM(stored_bytes), 0) FROM jobs").fetchone()[0]
        query = "SELECT id, stored_bytes FROM jobs WHERE ended_at IS NOT NULL AND evicted = 0 ORDER BY ended_at"
        removed = []
        for job_id, stored in self._db.execute(query).fetchall():
            if total <= quota_bytes:
                break
            self.folders.drop(job_id)
            self._update("UPDATE jobs SET evicted = 1, stored_bytes = 0 WHERE id = ?", job_id)
            total -= stored
            removed.append(job_id)
        return removed

    def forget_oldest(self, most_bytes: int = ENDED_MAX_BYTES) -> list[str]:
        """Forget ended jobs with all they left, oldest first, until what was asked of the others is not too much."""
        total = self._db.execute("SELECT COALESCE(SUM(request_bytes), 0) FROM jobs").fetchone()[0]
        if total <= most_bytes:
            return []
        query = "SELECT id, request_bytes FROM jobs WHERE ended_at IS NOT NULL ORDER BY ended_at"
        forgotten = []
        for job_id, size in self._db.execute(query).fetchall():
            if total <= most_bytes:
                break
            self.delete(job_id)
            total -= size
            forgotten.append(job_id)
        return forgotten

    def _require_room(self, size: int) -> None:
        """Raise AgentError JOBS_FULL where too many jobs wait, or they ask for too much."""
        query = "SELECT COUNT(*), COALESCE(SUM(request_bytes), 0) FROM jobs WHERE state = ?"
        count, held = self._db.execute(query, (JobState.QUEUED,)).fetchone()
        if count >= self._queued_max:
            raise AgentError(ErrorCode.JOBS_FULL, f"{count} jobs are queued, as many as this agent takes")
        if held + size > self._queued_max_bytes:
            most = f"{self._queued_max_bytes} bytes are taken"
            detail = f"the {count} queued jobs are described in {held} bytes, and this one in {size}: at most {most}"
            raise AgentError(ErrorCode.JOBS_FULL, detail, hint="send data as a bundle, not within the job; or wait")

    def _update(self, query: str, *values: object) -> bool:
        with _clear_errors():
            return self._db.execute(query, values).rowcount > 0

    def _one(self, where: str, *values: object) -> StoredJob | None:
        row = self._db.execute(f"SELECT {COLUMNS} FROM jobs WHERE {where}", values).fetchone()
        return readable(row) if row else None

    def _readable_or_failed(self, row: tuple[Any, ...]) -> StoredJob | None:
        found = readable(row)
        if found is None:
            error = JobError(code=ErrorCode.INTERNAL_ERROR, detail="what is stored of the job cannot be read")
            self.ended(row[1], JobState.FAILED, error, None, 0)
        return found

    def _count_end(self, job_id: str, state: JobState) -> None:
        row = self._db.execute("SELECT kind FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is not None:
            self._ended[row[0], state] += 1

    def _positions(self) -> dict[int, int]:
        query = "SELECT number FROM jobs WHERE state = ? ORDER BY priority DESC, number"
        return {number: position for position, (number,) in enumerate(self._db.execute(query, (JobState.QUEUED,)))}


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


def _unknown(job_id: str) -> AgentError:
    return AgentError(ErrorCode.UNKNOWN_JOB, f"no job {job_id!r} here")


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _readable_error(error: JobError) -> JobError:
    """The same with a detail that can be sent: names of files may hold bytes that are no text."""
    detail = error.detail[:DETAIL_MAX_CHARS].encode(errors="backslashreplace").decode()
    return JobError(code=error.code, detail=detail)

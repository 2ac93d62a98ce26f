"""How jobs that are over come to rest: what they left is kept, then their end is noted in the list.

Whatever is wrong with one of them costs that job alone; where the disk is full, ends wait for room.
"""

import errno
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

from contract.codes import ErrorCode
from contract.jobs import Job, JobError, JobState
from contract.validity import Verdict
from server.errors import AgentError
from server.jobs.archive import Archive, RecordLost
from server.jobs.execution import JobOutcome
from server.jobs.processes import end_all
from server.jobs.record.folders import JobFolders
from server.jobs.rows import StoredJob
from server.jobs.store import JobStore
from server.storage.room import Room
from server.storage.trees import FULL

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 3
"""Starts of a job that asked to be requeued; one that takes the agent down each time must end some day."""
RECORD_LOST = "record_lost"
DISK_WAS_FULL = "the disk was full when it ended"


@dataclass(frozen=True)
class End:
    """How a job ended, to be noted in the list; QUEUED for one that is to run once more."""

    state: JobState
    error: JobError | None = None
    verdict: Verdict | None = None
    stored_bytes: int = 0


class Settling:
    """Ends of jobs that are not in the list yet. Its methods touch the disk; `note` also the list."""

    def __init__(self, archive: Archive, folders: JobFolders, store: JobStore, room: Room) -> None:
        self._archive = archive
        self._folders = folders
        self._store = store
        self._room = room
        self._ends: dict[str, End] = {}

    def __bool__(self) -> bool:
        return bool(self._ends)

    def settle(self, job: Job, outcome: JobOutcome) -> None:
        """Keep what a job left that ran until now."""
        try:
            self._ends[job.id] = self._end_of(job, outcome)
        except Exception as fault:
            self._ends[job.id] = _failed(job, outcome.error, fault)

    def settle_left_over(self, jobs: Sequence[StoredJob]) -> None:
        """The same for jobs that ran when the agent before this one died, whose processes are ended first."""
        for stored in jobs:
            job = stored.job
            if job.id in self._ends:
                continue
            try:
                end_all(job.id, stored.process)
                end = self._end_of(job, self._archive.outcome_of_a_dead_agent(job.id))
            except Exception as fault:
                end = _failed(job, None, fault)
            self._ends[job.id] = end
            log.warning("job %s was running when the agent died: %s", job.id, end.state)

    def note(self) -> None:
        """Note in the list how jobs ended; raises AgentError where the disk is full, and they wait for room."""
        for job_id, end in list(self._ends.items()):
            try:
                self._store_end(job_id, end)
            except AgentError:
                if not self._room.release():
                    raise
                self._store_end(job_id, end)
            del self._ends[job_id]
            log.info("job %s is %s", job_id, "queued again" if end.state is JobState.QUEUED else end.state)

    def _end_of(self, job: Job, outcome: JobOutcome) -> End:
        if outcome.state is JobState.INTERRUPTED and _may_requeue(job):
            self._folders.clear(job.id)
            return End(JobState.QUEUED)
        verdict, error, state = None, outcome.error, outcome.state
        try:
            verdict = self._kept(job, outcome)
            error = outcome.error
        except Exception as fault:
            failed = _failed(job, error, fault)
            error, state = failed.error, failed.state if state is JobState.SUCCEEDED else state
        if _is_full(error) and state is JobState.SUCCEEDED:
            state = JobState.FAILED
        self._folders.drop_work(job.id)
        return End(state, error, verdict, self._folders.size(job.id))

    def _kept(self, job: Job, outcome: JobOutcome) -> Verdict | None:
        """Write a job's result; where there is no room for all that it left, without that."""
        try:
            if self._archive.leaves_files(job) and (_is_full(outcome.error) or self._room.is_full):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._archive.keep(job, outcome)
        except OSError as fault:
            if fault.errno not in FULL:
                raise
        self._room.release()
        outcome.error = JobError(code=ErrorCode.STORAGE_FULL, detail=f"what it left was dropped: {DISK_WAS_FULL}")
        return self._archive.keep_without_artifacts(job, outcome)

    def _store_end(self, job_id: str, end: End) -> None:
        if end.state is JobState.QUEUED:
            self._store.requeued(job_id)
        else:
            self._store.ended(job_id, end.state, end.error, end.verdict, end.stored_bytes)


def job_error(fault: Exception) -> JobError:
    """What a user reads of something that went wrong in the agent."""
    if isinstance(fault, RecordLost):
        return JobError(code=RECORD_LOST, detail=str(fault))
    full = isinstance(fault, OSError) and fault.errno in FULL
    code = ErrorCode.STORAGE_FULL if full else ErrorCode.INTERNAL_ERROR
    return JobError(code=code, detail=f"{type(fault).__name__}: {fault}")


def _failed(job: Job, before: JobError | None, fault: Exception) -> End:
    """The end of a job with which something went wrong, perhaps after it had failed by itself."""
    log.error("the end of job %s", job.id, exc_info=fault)
    error = job_error(fault)
    if before is not None:
        error = JobError(code=before.code, detail=f"{before.detail}; then: {error.detail}")
    return End(JobState.FAILED, error)


def _may_requeue(job: Job) -> bool:
    return job.request.after_restart == "requeue" and job.attempts < ATTEMPTS_MAX


def _is_full(error: JobError | None) -> bool:
    return error is not None and error.code == ErrorCode.STORAGE_FULL

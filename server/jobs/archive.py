"""What lies in a job's folders: written at its begin and at its end, read back after the agent died."""

import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from contract.jobs import Job, JobError, JobState
from contract.results import AnyResult, ArtifactInfo, Conditions
from contract.validity import Verdict
from server.jobs.conditions import conditions_now
from server.jobs.execution import JobOutcome, ending
from server.jobs.kinds.base import Kind, Measured, Places, Subject
from server.jobs.record.artifacts import Left, collect, list_artifacts
from server.jobs.record.channels import STDERR_NAME, STDOUT_NAME
from server.jobs.record.folders import INPUTS_NAME, OUTPUT_NAME, JobFolders
from server.jobs.record.journal import read_journal
from server.jobs.record.orders import Order
from server.settings import Settings
from server.telemetry.recorder import load_recording

CONTEXT_NAME = "context.json"
RESULT_NAME = "result.json"
LOG_KEPT_BYTES = 1 << 20
"""Bytes that are left of a log where the disk is full."""


class RecordLost(Exception):
    """What the agent keeps of a job was changed or removed while it ran."""


class Context(BaseModel):
    """Under which circumstances a job began."""

    conditions: Conditions
    subject: Subject | None = None


class Archive:
    """The files of jobs."""

    def __init__(self, settings: Settings, kinds: Mapping[str, Kind[Any]], folders: JobFolders) -> None:
        self._settings = settings
        self._kinds = kinds
        self._folders = folders

    def begin(self, job: Job) -> Order:
        """Note under which circumstances a job begins; gives its process's order. Raises AgentError and OSError."""
        places = Places(self._folders.path(job.id), self._folders.work_path(job.id))
        context = Context(conditions=conditions_now(self._settings))
        beginning = self._kinds[job.kind].begin(job.request, places)
        context.subject = beginning.subject
        self._folders.make_work(job.id)
        with self._folders.make_record(job.id) as record:
            record.replace(CONTEXT_NAME, context.model_dump_json().encode())
        return beginning.order

    def keep(self, job: Job, outcome: JobOutcome) -> Verdict | None:
        """Write the result, as far as there is one; gives its verdict. Raises RecordLost, and OSError for a full disk.

        Called again after it was cut off, it goes on.
        """
        left = self._collect(job)
        return self._write(job, outcome, left)

    def keep_without_artifacts(self, job: Job, outcome: JobOutcome) -> Verdict | None:
        """The same where the disk is full: what the program left is dropped, and its logs are cut."""
        self._folders.drop_work(job.id)
        self._folders.drop_from_record(job.id, OUTPUT_NAME)
        self._folders.empty_trash()
        for name in (STDOUT_NAME, STDERR_NAME):
            descriptor = self._folders.open(job.id, name, os.O_WRONLY)
            if descriptor is not None:
                os.truncate(descriptor, min(LOG_KEPT_BYTES, os.fstat(descriptor).st_size))
                os.close(descriptor)
        note = f"all of it, and of each log what is beyond {LOG_KEPT_BYTES} bytes: the disk was full"
        return self._write(job, outcome, self._left(job, [note]))

    def outcome_of_a_dead_agent(self, job_id: str) -> JobOutcome:
        """How a job stands that was running when its agent died: it may just have been through."""
        journal = read_journal(self._folders, job_id)
        telemetry = load_recording(self._folders.path(job_id))
        if journal.done or journal.failed:
            state, error = ending(journal, None, 0, "")
            return JobOutcome(state, error, journal, telemetry)
        error = JobError(code="agent_died", detail="the agent died while it ran")
        return JobOutcome(JobState.INTERRUPTED, error, journal, telemetry)

    def _write(self, job: Job, outcome: JobOutcome, left: Left) -> Verdict | None:
        result = self._result(job, outcome, left)
        if result is not None:
            with self._folders.make_record(job.id) as record:
                record.replace(RESULT_NAME, result.model_dump_json().encode())
        self._folders.drop_from_record(job.id, INPUTS_NAME)
        return result.validity.verdict if result is not None else None

    def _collect(self, job: Job) -> Left:
        """Move a program's artefacts into the record."""
        if not self.leaves_files(job):
            return self._left(job, [])
        try:
            with (
                self._folders.output(job.id) as output,
                self._folders.make_record(job.id) as record,
                record.make(OUTPUT_NAME) as kept,
            ):
                notes = collect(output, kept, self._settings.max_jobs_bytes)
        except (FileNotFoundError, NotADirectoryError):
            notes = ["all: the program removed or replaced the folder $OUTPUT"]
        return self._left(job, notes)

    def leaves_files(self, job: Job) -> bool:
        """Whether artefacts are kept of a job of this kind."""
        return self._kinds[job.kind].leaves_files

    def artifacts(self, job_id: str) -> list[ArtifactInfo]:
        """Files that were kept of what a program left."""
        try:
            with self._folders.artifacts(job_id) as output:
                return list_artifacts(output)
        except OSError:
            return []

    def _left(self, job: Job, notes: list[str]) -> Left:
        return Left(self.artifacts(job.id), notes, self._size(job.id, STDOUT_NAME), self._size(job.id, STDERR_NAME))

    def _size(self, job_id: str, name: str) -> int:
        descriptor = self._folders.open(job_id, name)
        if descriptor is None:
            return 0
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _result(self, job: Job, outcome: JobOutcome, left: Left) -> AnyResult | None:
        content = self._folders.read(job.id, CONTEXT_NAME)
        if content is None and not outcome.journal.phases:
            return None  # it never began
        try:
            context = Context.model_validate_json(content or b"")
        except ValidationError as error:
            raise RecordLost("what the agent keeps of the job was changed or removed while it ran") from error
        journal = outcome.journal
        measured = Measured(journal, outcome.telemetry, context.conditions, journal.done, context.subject, left)
        return self._kinds[job.kind].result(job.request, measured)

"""What lies in a job's folders: written at its begin and at its end, read back after the agent died."""

import os
from typing import Any

from pydantic import BaseModel, ValidationError

from contract.jobs import BenchmarkRequest, CommandRequest, Job, JobError, JobState, ProfileRequest
from contract.results import AnyResult, ArtifactInfo, Conditions
from contract.validity import Verdict
from server.jobs.artifacts import Left, collect, list_artifacts
from server.jobs.channels import STDERR_NAME, STDOUT_NAME
from server.jobs.conditions import conditions_now
from server.jobs.execution import JobOutcome, ending
from server.jobs.folders import INPUTS_NAME, OUTPUT_NAME, JobFolders
from server.jobs.journal import read_journal
from server.jobs.planning import Planner
from server.jobs.results import Measured, Subject, benchmark_result, command_result, profile_result
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
    subject: dict[str, Any] | None = None
    runtime_version: str | None = None


class Archive:
    """The files of jobs."""

    def __init__(self, settings: Settings, planner: Planner, folders: JobFolders) -> None:
        self._settings = settings
        self._planner = planner
        self._folders = folders

    def begin(self, job: Job) -> dict[str, Any]:
        """Note under which circumstances a job begins; gives its process's order. Raises AgentError and OSError."""
        request, folder = job.request, self._folders.path(job.id)
        context = Context(conditions=conditions_now(self._settings))
        if isinstance(request, BenchmarkRequest):
            order, subject = self._planner.benchmark(request.spec, folder)
            context.subject = vars(subject)
            wire = order.to_wire()
        elif isinstance(request, ProfileRequest):
            profile, subject = self._planner.profile(request.spec)
            context.subject = vars(subject)
            context.runtime_version = self._planner.runtime_version(subject.runtime)
            wire = profile.to_wire()
        else:
            wire = self._planner.command(request, folder, self._folders.work_path(job.id)).to_wire()
        self._folders.make_work(job.id)
        with self._folders.make_record(job.id) as record:
            record.replace(CONTEXT_NAME, context.model_dump_json().encode())
        return wire

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
        if not isinstance(job.request, CommandRequest):
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
        measured = Measured(outcome.journal, outcome.telemetry, context.conditions, complete=outcome.journal.done)
        request = job.request
        if isinstance(request, CommandRequest):
            return command_result(request.spec, left, measured)
        subject = Subject(**context.subject or {})
        if isinstance(request, ProfileRequest):
            return profile_result(request.spec, subject, context.runtime_version or "", measured)
        return benchmark_result(request.spec, subject, measured, self._planner.labels(subject))

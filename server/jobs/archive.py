"""What lies in a job's folder: written at its begin and at its end, read back after the agent died."""

import contextlib
import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from contract.jobs import BenchmarkRequest, CommandRequest, Job, JobError, JobState, ProfileRequest
from contract.results import AnyResult, Conditions
from contract.validity import Verdict
from server.disk import write_atomically
from server.jobs.conditions import conditions_now
from server.jobs.execution import Outcome, ending
from server.jobs.host.command import WORK_NAME
from server.jobs.journal import read_journal
from server.jobs.planning import INPUTS_NAME, Planner
from server.jobs.results import Measured, Subject, benchmark_result, command_result, profile_result
from server.settings import Settings
from server.telemetry.recorder import load_recording

CONTEXT_NAME = "context.json"
RESULT_NAME = "result.json"


class Archive:
    """The files of jobs."""

    def __init__(self, settings: Settings, planner: Planner) -> None:
        self._settings = settings
        self._planner = planner

    def begin(self, job: Job, folder: Path) -> dict[str, Any]:
        """Note under which circumstances a job begins; gives its process's order. Raises AgentError."""
        folder.mkdir(parents=True, exist_ok=True)
        request = job.request
        context: dict[str, Any] = {"conditions": conditions_now(self._settings).model_dump(mode="json")}
        if isinstance(request, BenchmarkRequest):
            order, subject = self._planner.benchmark(request.spec, folder)
            context["subject"] = vars(subject)
            wire = order.to_wire()
        elif isinstance(request, ProfileRequest):
            profile, subject = self._planner.profile(request.spec)
            context |= {"subject": vars(subject), "runtime_version": self._planner.runtime_version(subject.runtime)}
            wire = profile.to_wire()
        else:
            wire = self._planner.command(request, folder).to_wire()
        write_atomically(folder / CONTEXT_NAME, json.dumps(context).encode())
        return wire

    def keep(self, job: Job, folder: Path, outcome: Outcome) -> Verdict | None:
        """Write the result, as far as there is one, and drop what nobody needs any more; gives its verdict."""
        result = self._result(job, folder, outcome)
        if result is not None:
            write_atomically(folder / RESULT_NAME, result.model_dump_json().encode())
        for name in (WORK_NAME, INPUTS_NAME):
            shutil.rmtree(folder / name, ignore_errors=True)
        return result.validity.verdict if result is not None else None

    def outcome_of_a_dead_agent(self, folder: Path) -> Outcome:
        """How a job stands that was running when its agent died: it may just have been through."""
        journal = read_journal(folder)
        telemetry = load_recording(folder)
        if journal.done or journal.failed:
            state, error = ending(journal, None, 0, folder)
            return Outcome(state, error, journal, telemetry)
        error = JobError(code="agent_died", detail="the agent died while it ran")
        return Outcome(JobState.INTERRUPTED, error, journal, telemetry)

    def clear(self, folder: Path) -> None:
        """Remove what a run left, so that the next one begins afresh; its inputs stay."""
        for path in folder.iterdir():
            if path.name == INPUTS_NAME:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def size(self, folder: Path) -> int:
        """Bytes that a job's files hold."""
        total = 0
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                total += path.lstat().st_size
        return total

    def remove_strangers(self, jobs_folder: Path, known: Collection[str]) -> None:
        """Remove folders of jobs that are not in the list: the agent died before it had stored them."""
        for path in jobs_folder.iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    def _result(self, job: Job, folder: Path, outcome: Outcome) -> AnyResult | None:
        context = _read(folder / CONTEXT_NAME)
        if context is None:
            return None
        measured = Measured(
            outcome.journal,
            outcome.telemetry,
            Conditions.model_validate(context["conditions"]),
            complete=outcome.journal.done,
        )
        request = job.request
        if isinstance(request, CommandRequest):
            return command_result(request.spec, folder, measured)
        subject = Subject(**context["subject"])
        if isinstance(request, ProfileRequest):
            return profile_result(request.spec, subject, context["runtime_version"], measured)
        return benchmark_result(request.spec, subject, measured, self._planner.labels(subject))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        return document
    except (OSError, ValueError):
        return None

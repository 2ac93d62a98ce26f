"""Run one job: its process, the telemetry beside it, its time limit, its end."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from contract.codes import ErrorCode
from contract.jobs import Job, JobError, JobState, Progress
from contract.telemetry import CPU_TEMPERATURE, CPU_TRIP, Telemetry
from server.jobs.feed import PROGRESS, WINDOW, JobFeed
from server.jobs.kinds.base import Kind
from server.jobs.processes import JOB_VARIABLE, described, end_all
from server.jobs.record.channels import EVENTS_NAME, GO, STDERR_NAME, STDOUT_NAME, Channels
from server.jobs.record.events import WindowEvent
from server.jobs.record.folders import JobFolders
from server.jobs.record.journal import LINE_MAX_BYTES, Journal
from server.jobs.record.orders import Order
from server.jobs.record.plain_events import PhaseEvent
from server.jobs.rows import StoredProcess
from server.processes.children import child_command, child_settings, exit_text
from server.processes.control_group import make_group
from server.processes.reports import ChildReport
from server.resources import oom_kills
from server.telemetry.recorder import Recorder
from server.telemetry.sensors import Sensors
from server.validity.checks import HEADROOM_CELSIUS

HOST_LOG_NAME = "host.log"
GRACE_S = 3.0
"""Seconds between being asked to end and being killed."""
LOG_TAIL_BYTES = 8192
_APPENDED = os.O_WRONLY | os.O_CREAT | os.O_APPEND
COOLDOWN_POLL_S = 0.5


class Stop(StrEnum):
    """Why a job is ended from outside."""

    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    AGENT_STOPPED = "agent_stopped"


@dataclass
class JobOutcome:
    """How a job ended."""

    state: JobState
    error: JobError | None
    journal: Journal
    telemetry: Telemetry | None


class JobExecution:
    """One run of one job."""

    def __init__(self, job: Job, kind: Kind[Any], folders: JobFolders, sensors_root: Path, feed: JobFeed) -> None:
        self.job = job
        self._kind = kind
        self._folders = folders
        self._sensors_root = sensors_root
        self._feed = feed
        self._stop: Stop | None = None
        self._stopping = asyncio.Event()
        self._journal = Journal()
        self._recorder: Recorder | None = None
        self._process: StoredProcess | None = None
        self._started = time.monotonic()
        self._all_ended = True
        self._oom_kills = oom_kills()

    def stop(self, why: Stop) -> None:
        """End the job soon; the first reason counts."""
        self._stop = self._stop or why
        self._stopping.set()

    async def run(self, order: Order, note_process: Callable[[StoredProcess], Any]) -> JobOutcome:
        """Run the order to its end; `note_process` stores the process before it begins to work."""
        with ChildReport() as report:
            child = await self._spawn(report)
            telemetry = await self._see_through(child, await report.reader(LINE_MAX_BYTES), order, note_process)
        return self._outcome(child.returncode, telemetry)

    async def _see_through(
        self,
        child: asyncio.subprocess.Process,
        events: asyncio.StreamReader,
        order: Order,
        note_process: Callable[[StoredProcess], Any],
    ) -> Telemetry | None:
        """From a process that waits for its order to one that is gone, with all that it started."""
        try:
            self._process = described(child.pid, make_group(self.job.id, child.pid))
            await note_process(self._process)
            assert child.stdin is not None
            child.stdin.write(json.dumps(order.to_wire()).encode() + b"\n")
            self._recorder = await asyncio.to_thread(self._record, child.pid)
            await self._cool_down()
            child.stdin.write(GO)
            child.stdin.close()
            await self._follow(child, events)
        finally:
            telemetry = await asyncio.shield(asyncio.to_thread(self._clean_up))
            await child.wait()
        return telemetry

    @property
    def journal(self) -> Journal:
        """What it reported so far."""
        return self._journal

    @property
    def progress(self) -> Progress:
        """How far it is."""
        progress = self._kind.progress(self.job.request, self._journal, time.monotonic() - self._started)
        progress.cpu_temperature_celsius = self._temperature()
        return progress

    def telemetry(self) -> Telemetry | None:
        """What was recorded so far."""
        return self._recorder.snapshot() if self._recorder else None

    async def _spawn(self, report: ChildReport) -> asyncio.subprocess.Process:
        opened: list[int] = []
        try:
            with self._folders.record(self.job.id) as record:
                for name in (EVENTS_NAME, STDOUT_NAME, STDERR_NAME, HOST_LOG_NAME):
                    opened.append(record.open(name, _APPENDED))
            *numbers, log = opened
            channels = Channels(report.theirs.fileno(), *numbers)
            variables = {JOB_VARIABLE: self.job.id}
            return await asyncio.create_subprocess_exec(
                *child_command("server.jobs.host.main", os.getpid(), *channels.numbers),
                cwd=self._folders.work_path(self.job.id),
                **child_settings(channels.numbers, variables, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log),
            )
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _record(self, process_group: int) -> Recorder:
        sensors = Sensors(self._sensors_root, process_group)
        recorder = Recorder(sensors, self.job.request.telemetry_interval_s, self._folders.path(self.job.id))
        recorder.start()
        return recorder

    async def _cool_down(self) -> None:
        """Wait, as long as was allowed, until the CPU has room to warm up again."""
        deadline = time.monotonic() + self._kind.cooldown_s(self.job.request)
        while time.monotonic() < deadline and self._is_hot() and not self._stopping.is_set():
            await asyncio.sleep(COOLDOWN_POLL_S)

    def _is_hot(self) -> bool:
        newest = self._recorder.latest() if self._recorder is not None else None
        values = newest.values if newest else {}
        now, trip = values.get(CPU_TEMPERATURE), values.get(CPU_TRIP)
        return now is not None and trip is not None and now > trip - HEADROOM_CELSIUS

    async def _follow(self, child: asyncio.subprocess.Process, events: asyncio.StreamReader) -> None:
        """Take events until the process has ended or is to end."""
        reading = asyncio.create_task(self._read(events))
        ending = asyncio.create_task(self._stopping.wait())
        try:
            async with asyncio.timeout(self.job.request.timeout_s):
                await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            self.stop(Stop.TIMEOUT)
        finally:
            ending.cancel()
        if self._stopping.is_set():
            await self._ask_to_end(child)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading

    async def _ask_to_end(self, child: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await child.wait()

    async def _read(self, events: asyncio.StreamReader) -> None:
        while line := await events.readline():
            await self._take(line)

    async def _take(self, line: bytes) -> None:
        event = self._journal.take_line(line)
        if isinstance(event, PhaseEvent) and self._recorder is not None:
            self._recorder.mark(event.name, event.at_ns)
        if isinstance(event, WindowEvent):
            await self._feed.publish(WINDOW, self._journal.windows[-1])
        if event is None:
            return
        await self._feed.publish(PROGRESS, self.progress)

    def _clean_up(self) -> Telemetry | None:
        self._all_ended = end_all(self.job.id, self._process)
        return self._recorder.stop() if self._recorder is not None else None

    def _outcome(self, code: int | None, telemetry: Telemetry | None) -> JobOutcome:
        state, error = ending(self._journal, self._stop, code, last_words(self._folders, self.job.id))
        if not self._all_ended:
            detail = "processes that it started could not be killed; they may disturb what runs next"
            state, error = JobState.FAILED, JobError(code="processes_left", detail=detail)
        elif error is not None and error.code in ("killed", "exit_code") and self._ran_out_of_memory(code):
            error = JobError(
                code=ErrorCode.WORKER_OUT_OF_MEMORY, detail=f"{error.detail}: the machine's memory was full"
            )
        return JobOutcome(state, error, self._journal, telemetry)

    def _ran_out_of_memory(self, code: int | None) -> bool:
        """Whether the kernel has killed the job, or its program, for want of memory."""
        ended = self._journal.ended
        how = ended.signal if ended is not None else code
        return how in (signal.SIGKILL.name, -signal.SIGKILL) and oom_kills() > self._oom_kills

    def _temperature(self) -> float | None:
        newest = self._recorder.latest() if self._recorder is not None else None
        return newest.values.get(CPU_TEMPERATURE) if newest else None


def ending(journal: Journal, stop: Stop | None, code: int | None, last_words: str) -> tuple[JobState, JobError | None]:
    """State and error of a job from what it reported, why it was stopped, and how its process ended."""
    if stop is Stop.CANCELLED:
        return JobState.CANCELLED, None
    if stop is Stop.TIMEOUT:
        return JobState.FAILED, JobError(code="timeout", detail="it was not through within its time limit")
    if stop is Stop.AGENT_STOPPED:
        return JobState.INTERRUPTED, JobError(code="agent_stopped", detail="the agent was stopped while it ran")
    if journal.failed is not None:
        return JobState.FAILED, JobError(code=journal.failed[0], detail=journal.failed[1])
    if not journal.done:
        return JobState.FAILED, JobError(code="killed", detail=f"its process {exit_text(code)}{last_words}")
    if journal.ended is not None and journal.ended.exit_code != 0:
        how = journal.ended.signal or f"exit code {journal.ended.exit_code}"
        return JobState.FAILED, JobError(code="exit_code", detail=f"the program ended with {how}")
    return JobState.SUCCEEDED, None


def last_words(folders: JobFolders, job_id: str) -> str:
    """What a job's process wrote last, where it wrote anything."""
    descriptor = folders.open(job_id, HOST_LOG_NAME)
    if descriptor is None:
        return ""
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES))
    finally:
        os.close(descriptor)
    lines = tail.decode(errors="replace").strip().splitlines()
    return f"; its last words: {lines[-1]}" if lines else ""

"""The queue of an agent: jobs in, one at a time out, nothing lost in between."""

import asyncio
import contextlib
import logging
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from contract.codes import ErrorCode
from contract.jobs import AnyRequest, Job, JobError, JobList, JobState, JobStatus
from contract.telemetry import Telemetry
from server.disk import FULL
from server.errors import AgentError
from server.jobs.archive import Archive
from server.jobs.execution import Execution, Outcome, Stop
from server.jobs.feed import STATE, Event, Feed
from server.jobs.journal import read_journal
from server.jobs.planning import Planner
from server.jobs.processes import end_all
from server.jobs.store import JobStore, StoredJob, StoredProcess
from server.settings import Settings
from server.workers.pools import Pools

log = logging.getLogger(__name__)
T = TypeVar("T")
AnyJob = TypeVar("AnyJob", bound=JobStatus)

ATTEMPTS_MAX = 3
"""Starts of a job that asked to be requeued; one that takes the agent down each time must end some day."""
IDLE_POLL_S = 0.02
ID_BYTES = 8
STOP_TIMEOUT_S = 15.0
"""For the running job to end and to be settled; what takes longer is settled at the next start."""
RETRY_AFTER_FAULT_S = 1.0


class Jobs:
    """Takes, runs, shows and removes jobs."""

    def __init__(self, settings: Settings, planner: Planner, pools: Pools) -> None:
        self._settings = settings
        self._planner = planner
        self._pools = pools
        self._store = JobStore(settings.data, settings.max_queued_jobs)
        self._archive = Archive(settings, planner)
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._running: Execution | None = None
        self._feeds: dict[str, Feed] = {}
        self._draining = False
        self._run_id = secrets.token_hex(4)
        self._changes = 0

    async def start(self) -> None:
        """Clear up after an agent that died, then begin with the queue."""
        await self._call(self._recover)
        self._wake.set()
        self._loop = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End the running job, keep what it measured, close the list."""
        await self.drain()
        if self._loop is not None:
            await asyncio.wait({self._loop}, timeout=STOP_TIMEOUT_S)
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
        self._thread.shutdown()
        self._store.close()

    async def drain(self) -> None:
        """The agent is about to stop: end the running job, let nobody wait for events."""
        self._draining = True
        self._wake.set()
        if self._running is not None:
            self._running.stop(Stop.AGENT_STOPPED)
        for feed in list(self._feeds.values()):
            await feed.close()

    async def submit(self, request: AnyRequest, key: str | None) -> tuple[Job, bool]:
        """Store a job; gives it and whether it is new. Raises AgentError when it cannot be done here."""
        job_id = secrets.token_hex(ID_BYTES)
        folder = self._store.folder_of(job_id)

        def add() -> tuple[Job, bool]:
            created = False
            try:
                self._planner.accept(request, folder)
                job, created = self._store.add(job_id, request, key)
                return job, created
            finally:
                if not created:
                    shutil.rmtree(folder, ignore_errors=True)

        job, created = await self._call(add)
        if created:
            log.info("job %s is queued: %s", job.id, request.kind)
            self._wake.set()
        return job, created

    async def page(self, limit: int, before: int | None, states: Sequence[JobState]) -> JobList:
        """Part of the list, newest first."""
        page = await self._call(lambda: self._store.page(limit, before, states))
        return JobList(
            jobs=[self._with_progress(job) for job in page.jobs],
            next=page.next,
            counts=dict(page.counts),
            evicted=page.evicted,
            stored_bytes=page.stored_bytes,
            quota_bytes=self._settings.max_jobs_bytes,
        )

    @property
    def tag(self) -> str:
        """A weak ETag of the whole list: another one whenever more than progress has changed."""
        return f'W/"{self._run_id}-{self._changes}"'

    async def get(self, job_id: str) -> Job:
        """One job; raises AgentError."""
        return self._with_progress((await self._call(lambda: self._store.get(job_id))).job)

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job that waits or runs; one that has ended stays as it is. Raises AgentError."""
        if not await self._call(lambda: self._store.cancel_queued(job_id)):
            running = self._running
            if running is not None and running.job.id == job_id:
                running.stop(Stop.CANCELLED)
        await self._tell(job_id)
        return await self.get(job_id)

    async def delete(self, job_id: str) -> None:
        """Remove an ended job and all it left; raises AgentError."""
        await self._call(lambda: self._store.delete(job_id))
        self._feeds.pop(job_id, None)

    async def folder(self, job_id: str, *, ended: bool) -> Path:
        """Where a job's files are; raises AgentError when it must have `ended` and has not, or left nothing."""
        job = await self.get(job_id)
        if ended and not job.state.ended:
            raise AgentError(ErrorCode.JOB_NOT_ENDED, f"job {job_id} is {job.state}")
        if job.evicted:
            raise AgentError(ErrorCode.RESULT_REMOVED, f"what job {job_id} left was removed to stay within the quota")
        return self._store.folder_of(job_id)

    def running_telemetry(self, job_id: str) -> Telemetry | None:
        """What is being recorded of a job, None when it does not run."""
        running = self._running
        return running.telemetry() if running is not None and running.job.id == job_id else None

    async def watch(self, job_id: str, after: int, pause_s: float) -> AsyncIterator[Event | None]:
        """What happens in a job, from window number `after` on, until it has ended."""
        job = await self.get(job_id)
        if job.state.ended:
            for number, window in enumerate(read_journal(self._store.folder_of(job_id)).windows[after:], after + 1):
                yield Event("window", window, number)
            yield Event(STATE, job)
            return
        feed = self._feed(job_id)
        if self._draining:
            await feed.close()
        await feed.publish(STATE, job)
        async for event in feed.watch(after, pause_s):
            yield event

    async def _work(self) -> None:
        while not self._draining:
            try:
                job = await self._call(self._store.next_queued)
                if job is None:
                    await self._wake.wait()
                    self._wake.clear()
                else:
                    await self._run(job.id)
            except AgentError as error:  # a full disk: what is queued stays queued
                log.error("the queue waits: %s", error)
                await asyncio.sleep(RETRY_AFTER_FAULT_S)

    async def _run(self, job_id: str) -> None:
        """Run a job whose turn it is, unless it was cancelled just now."""
        if not await self._call(lambda: self._store.started(job_id)):
            return
        job = (await self._call(lambda: self._store.get(job_id))).job
        folder = self._store.folder_of(job_id)
        execution = self._running = Execution(job, folder, self._settings.sensors_root, self._feed(job_id))
        log.info("job %s runs", job_id)
        try:
            outcome = await self._carry_out(execution, folder)
        except Exception as fault:
            log.exception("job %s could not be run", job_id)
            full = isinstance(fault, OSError) and fault.errno in FULL
            code = ErrorCode.STORAGE_FULL if full else ErrorCode.INTERNAL_ERROR
            error = JobError(code=code, detail=f"{type(fault).__name__}: {fault}")
            outcome = Outcome(JobState.FAILED, error, read_journal(folder), None)
        finally:
            self._running = None
            self._pools.reserved_for = None
        await self._finish(job, outcome)
        await self._tell(job_id)
        await self._call(self._make_room)

    async def _carry_out(self, execution: Execution, folder: Path) -> Outcome:
        job = execution.job

        async def note_process(process: StoredProcess) -> None:
            await self._call(lambda: self._store.has_process(job.id, process))

        try:
            order = await self._call(lambda: self._archive.begin(job, folder))
        except AgentError as error:
            failed = JobError(code=error.code, detail=error.detail)
            return Outcome(JobState.FAILED, failed, read_journal(folder), None)
        self._pools.reserved_for = job.id
        while self._pools.in_flight():  # whoever was let in before is answered first
            await asyncio.sleep(IDLE_POLL_S)
        await self._tell(job.id)
        return await execution.run(order, note_process)

    async def _finish(self, job: Job, outcome: Outcome) -> None:
        """Keep what a job left; where the disk is full the queue waits for room rather than lose it."""
        requeue = outcome.state is JobState.INTERRUPTED and self._may_requeue(job)
        while True:
            try:
                await self._call(lambda: self._settle(job, outcome, requeue=requeue))
                break
            except (AgentError, OSError) as error:
                log.error("the end of job %s cannot be stored, the queue waits: %s", job.id, error)
                if self._draining:  # the next start settles it
                    return
                await asyncio.sleep(RETRY_AFTER_FAULT_S)
        log.info("job %s is %s", job.id, "queued again" if requeue else outcome.state)

    def _settle(self, job: Job, outcome: Outcome, *, requeue: bool) -> None:
        folder = self._store.folder_of(job.id)
        if requeue:
            self._archive.clear(folder)
            self._store.requeued(job.id)
            return
        verdict = self._archive.keep(job, folder, outcome)
        self._store.ended(job.id, outcome.state, outcome.error, verdict, self._archive.size(folder))

    def _may_requeue(self, job: Job) -> bool:
        return job.request.after_restart == "requeue" and job.attempts < ATTEMPTS_MAX

    def _recover(self) -> None:
        """Settle jobs that were running when the agent died, and remove folders of jobs that were never stored."""
        for stored in self._store.in_state(JobState.RUNNING):
            try:
                self._recover_one(stored)
            except (AgentError, OSError) as error:  # a full disk: the next start settles it
                log.error("job %s of the agent that died cannot be settled: %s", stored.job.id, error)
        self._archive.remove_strangers(self._store.folder, self._store.ids())
        self._make_room()

    def _recover_one(self, stored: StoredJob) -> None:
        job = stored.job
        end_all(job.id, stored.process)
        outcome = self._archive.outcome_of_a_dead_agent(self._store.folder_of(job.id))
        requeue = outcome.state is JobState.INTERRUPTED and self._may_requeue(job)
        self._settle(job, outcome, requeue=requeue)
        log.warning("job %s was running when the agent died: %s", job.id, "queued again" if requeue else outcome.state)

    def _make_room(self) -> None:
        removed = self._store.keep_within(self._settings.max_jobs_bytes)
        forgotten = self._store.forget_oldest()
        if forgotten:
            log.warning("forgot %d ended jobs, oldest first: what was asked of them is too much", len(forgotten))
        if removed:
            log.warning("removed what %d jobs left, to stay within the quota: %s", len(removed), ", ".join(removed))

    async def _tell(self, job_id: str) -> None:
        """Give watchers the newest state, and let them go when it is the last."""
        feed = self._feeds.get(job_id)
        if feed is None:
            return
        job = await self.get(job_id)
        await feed.publish(STATE, job)
        if job.state.ended:
            await feed.close()
            self._feeds.pop(job_id, None)

    def _feed(self, job_id: str) -> Feed:
        return self._feeds.setdefault(job_id, Feed())

    def _with_progress(self, job: AnyJob) -> AnyJob:
        running = self._running
        if running is not None and running.job.id == job.id and job.state is JobState.RUNNING:
            job.progress = running.progress
        return job

    async def _call(self, work: Callable[[], T]) -> T:
        """Do something with the list or the disk in the one thread that may."""

        def do() -> T:
            try:
                return work()
            finally:
                self._changes = self._store.changes

        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

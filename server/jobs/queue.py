"""The queue of an agent: jobs in, one at a time out, nothing lost in between."""

import asyncio
import contextlib
import logging
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from contract.codes import ErrorCode
from contract.jobs import AnyRequest, Job, JobError, JobList, JobState, JobStatus
from contract.telemetry import Telemetry
from server.errors import AgentError
from server.jobs.archive import Archive
from server.jobs.execution import JobExecution, JobOutcome, Stop
from server.jobs.feed import STATE, FeedEvent, JobFeed
from server.jobs.kinds.base import Kind
from server.jobs.lease import LeaseClock
from server.jobs.record.folders import JobFolders
from server.jobs.record.journal import Journal, read_journal
from server.jobs.rows import StoredProcess, Tally
from server.jobs.settling import Settling, job_error
from server.jobs.store import JobStore
from server.jobs.supervision import Supervised
from server.settings import Settings
from server.storage.room import Room
from server.workers.pools import Pools

log = logging.getLogger(__name__)
T = TypeVar("T")
AnyJob = TypeVar("AnyJob", bound=JobStatus)

ID_BYTES = 8
STOP_TIMEOUT_S = 7.0
"""For the running job to end and to be settled; what takes longer is settled at the next start. With what else a stop
takes, it must be over before Docker kills, after 10 s."""
RETRY_AFTER_FAULT_S = 1.0
ROOM_POLL_S = 10.0
"""How often the room on the disk is looked at while nothing else happens."""


class Jobs:
    """Takes, runs, shows and removes jobs."""

    def __init__(self, settings: Settings, kinds: Mapping[str, Kind[Any]], pools: Pools, room: Room) -> None:
        self._settings = settings
        self._kinds = kinds
        self._pools = pools
        self._room = room
        self._folders = JobFolders(settings.data)
        self._store = JobStore(settings.data, self._folders, settings.max_queued_jobs)
        self._archive = Archive(settings, kinds, self._folders)
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._wake = asyncio.Event()
        self._queue = Supervised("the queue of jobs", self._work)
        self._settling = Settling(self._archive, self._folders, self._store, room)
        self._recovered = False
        self._running: JobExecution | None = None
        self.lease = LeaseClock()
        self._feeds: dict[str, JobFeed] = {}
        self._draining = False
        self._stop_at = 0.0
        self._run_id = secrets.token_hex(4)
        self.tally = Tally()

    async def start(self) -> None:
        """Clear up after an agent that died, then begin with the queue."""
        try:
            await self._call(self._recover)
        except Exception:
            log.exception("what the agent before this one left cannot be cleared up yet")
        self._wake.set()
        self._queue.start()

    async def stop(self) -> None:
        """End the running job, keep what it measured, close the list."""
        await self.drain()
        await self._queue.stop(max(0.0, self._stop_at - time.monotonic()))
        self._thread.shutdown()
        self._store.close()
        self._folders.close()

    async def drain(self) -> None:
        """The agent is about to stop: end the running job, let nobody wait for events."""
        if not self._draining:
            self._stop_at = time.monotonic() + STOP_TIMEOUT_S
        self._draining = True
        self._wake.set()
        if self._running is not None:
            self._running.stop(Stop.AGENT_STOPPED)
        for feed in list(self._feeds.values()):
            await feed.close()

    async def submit(self, request: AnyRequest, key: str | None) -> tuple[Job, bool]:
        """Store a job; gives it and whether it is new. Raises AgentError when it cannot be done here."""
        job_id = secrets.token_hex(ID_BYTES)
        self.lease.require(request)

        def add() -> tuple[Job, bool]:
            created = False
            try:
                self._kinds[request.kind].accept(request, self._folders.path(job_id))
                job, created = self._store.add(job_id, request, key)
                return job, created
            finally:
                if not created:
                    self._folders.drop(job_id)

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
            counts=dict(page.tally.counts),
            evicted=page.tally.evicted,
            stored_bytes=page.tally.stored_bytes,
            quota_bytes=self._settings.max_jobs_bytes,
        )

    @property
    def tag(self) -> str:
        """A weak ETag of the whole list: another one whenever more than progress has changed."""
        return f'W/"{self._run_id}-{self.tally.changes}"'

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

    async def files(self, job_id: str, *, ended: bool) -> JobFolders:
        """Where a job's files are; raises AgentError when it must have `ended` and has not, or left nothing."""
        job = await self.get(job_id)
        if ended and not job.state.ended:
            raise AgentError(ErrorCode.JOB_NOT_ENDED, f"job {job_id} is {job.state}")
        if job.evicted:
            raise AgentError(ErrorCode.RESULT_REMOVED, f"what job {job_id} left was removed to stay within the quota")
        return self._folders

    @property
    def fault(self) -> str | None:
        """Why no job is run, None while all is well."""
        return self._queue.fault

    def running_telemetry(self, job_id: str) -> Telemetry | None:
        """What is being recorded of a job, None when it does not run."""
        running = self._running
        return running.telemetry() if running is not None and running.job.id == job_id else None

    async def watch(self, job_id: str, after: int, pause_s: float) -> AsyncIterator[FeedEvent | None]:
        """What happens in a job, from window number `after` on, until it has ended."""
        job = await self.get(job_id)
        if job.state.ended:
            journal = await asyncio.to_thread(read_journal, self._folders, job_id)
            for number, window in enumerate(journal.windows[after:], after + 1):
                yield FeedEvent("window", window, number)
            yield FeedEvent(STATE, job)
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
                await self._step()
            except AgentError as error:  # a full disk: what is queued stays queued
                log.error("the queue waits: %s", error)
                await asyncio.sleep(RETRY_AFTER_FAULT_S)

    async def _step(self) -> None:
        await self._call(self._look_after)
        job = await self._call(self._store.next_queued)
        self._queue.well()
        if job is None and not self._settling:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROOM_POLL_S):
                    await self._wake.wait()
            self._wake.clear()
        elif job is None or self._room.is_full:
            await asyncio.sleep(RETRY_AFTER_FAULT_S)
        else:
            await self._run(job.id)

    def _look_after(self) -> None:
        """Do what could not be done before, where there is room now."""
        self._room.keep()
        if not self._recovered:
            self._recover()
        self._settling.note()

    async def _run(self, job_id: str) -> None:
        """Run a job whose turn it is, unless it was cancelled just now."""
        job = (await self._call(lambda: self._store.get(job_id))).job
        if not await self._call(lambda: self._store.started(job_id)):
            return
        job.attempts += 1
        execution = self._running = JobExecution(
            job, self._kinds[job.kind], self._folders, self._settings.sensors_root, self._feed(job_id)
        )
        log.info("job %s runs", job_id)
        try:
            outcome = await self._execute(execution)
        except Exception as fault:
            log.exception("job %s could not be run", job_id)
            outcome = JobOutcome(JobState.FAILED, job_error(fault), execution.journal, None)
        finally:
            self._running = None
        await asyncio.to_thread(self._settling.settle, job, outcome)
        await self._call(self._settling.note)
        await self._tell(job_id)
        await self._call(self._make_room)

    async def _execute(self, execution: JobExecution) -> JobOutcome:
        job = execution.job

        async def note_process(process: StoredProcess) -> None:
            await self._call(lambda: self._store.has_process(job.id, process))

        try:
            order = await self._call(lambda: self._archive.begin(job))
        except AgentError as error:
            return JobOutcome(JobState.FAILED, JobError(code=error.code, detail=error.detail), Journal(), None)
        async with self._pools.gate.reserve(job.id):
            await self._tell(job.id)
            return await execution.run(order, note_process)

    def _recover(self) -> None:
        """Settle jobs that were running when the agent died, and remove folders of jobs that were never stored."""
        self._settling.settle_left_over(self._store.running())
        self._recovered = True
        self._settling.note()
        self._folders.remove_orphans(self._store.ids(), ())
        self._make_room()

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

    def _feed(self, job_id: str) -> JobFeed:
        return self._feeds.setdefault(job_id, JobFeed())

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
                with contextlib.suppress(sqlite3.Error):
                    self.tally = self._store.tally()

        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

"""The part of both clients that deals with jobs and telemetry."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

from client.sdk import calls, job_calls
from client.sdk.calls import Progress as Sent
from client.sdk.events import FILE_MAX_BYTES, EventFeed, JobEvent, LogFeed, TelemetryFeed, artifacts_feed
from client.sdk.transport import AsyncTransport, Transport
from contract.jobs import AnyRequest, Job, JobList, JobState
from contract.results import AnyResult
from contract.telemetry import DEFAULT_INTERVAL_S, Telemetry, TelemetrySample

LIMIT_DEFAULT = 50


class JobMethods(Transport):
    """Jobs and telemetry, blocking."""

    def put_blob(self, path: Path, progress: Sent | None = None) -> str:
        """Put a file on the agent, unless it is there; gives its digest."""
        digest = calls.file_digest(path)
        self._run_all(calls.put_blob(digest, path, progress))
        return digest

    def submit(self, request: AnyRequest, key: str | None = None) -> Job:
        """Submit a job. The same `key` gives the same job, however often it is sent; by default a fresh one."""
        return self._run(job_calls.submit(request, key or uuid.uuid4().hex))

    def jobs(self, limit: int = LIMIT_DEFAULT, before: int | None = None, states: Iterable[JobState] = ()) -> JobList:
        """A page of jobs, newest first; `before` is the `next` of the page before."""
        return self._run(job_calls.jobs(limit, before, states))

    def job(self, job_id: str) -> Job:
        """One job's state."""
        return self._run(job_calls.job(job_id))

    def cancel_job(self, job_id: str) -> Job:
        """End a job and everything it started; nothing happens to one that has ended."""
        return self._run(job_calls.cancel_job(job_id))

    def delete_job(self, job_id: str) -> None:
        """Remove a job that has ended, with its result, logs, telemetry and artefacts."""
        self._run(job_calls.delete_job(job_id))

    def job_result(self, job_id: str) -> AnyResult:
        """What a job found; raises Refused before its end."""
        return self._run(job_calls.job_result(job_id))

    def job_telemetry(self, job_id: str) -> Telemetry:
        """What the sensors said beside a job; also while it runs."""
        return self._run(job_calls.job_telemetry(job_id))

    def job_artifacts(
        self,
        job_id: str,
        target: Path,
        limit_bytes: int = FILE_MAX_BYTES,
        changed_since_s: float | None = None,
    ) -> int:
        """Fetch what a command left in its OUTPUT folder, as a tar file; gives its size in bytes.

        With `changed_since_s` also of one that runs: what changed since then, by the agent's clock; 0 for all.
        """
        for _ in self._follow(artifacts_feed(job_id, target, limit_bytes, changed_since_s)):
            pass
        return target.stat().st_size

    def job_logs(self, job_id: str, stream: str = "stdout", offset: int = 0, follow: bool = False) -> Iterator[bytes]:
        """A job's output in pieces; with `follow` until the job has ended, over broken connections too."""
        yield from self._follow(LogFeed(job_id, stream, offset, follow))

    def job_events(self, job_id: str, last_event_id: str | None = None) -> Iterator[JobEvent]:
        """What happens to a job until it has ended, over broken connections too."""
        yield from self._follow(EventFeed(job_id, last_event_id))

    def telemetry(self) -> TelemetrySample:
        """The newest sample of the device."""
        return self._run(job_calls.telemetry())

    def telemetry_stream(self, interval_s: float = DEFAULT_INTERVAL_S) -> Iterator[TelemetrySample]:
        """The device's samples from now on, over broken connections too."""
        yield from self._follow(TelemetryFeed(interval_s))


class AsyncJobMethods(AsyncTransport):
    """Jobs and telemetry, for asyncio."""

    async def put_blob(self, path: Path, progress: Sent | None = None) -> str:
        """Put a file on the agent, unless it is there; gives its digest."""
        digest = await asyncio.to_thread(calls.file_digest, path)
        await self._run_all(calls.put_blob(digest, path, progress))
        return digest

    async def submit(self, request: AnyRequest, key: str | None = None) -> Job:
        """Submit a job. The same `key` gives the same job, however often it is sent; by default a fresh one."""
        return await self._run(job_calls.submit(request, key or uuid.uuid4().hex))

    async def jobs(
        self, limit: int = LIMIT_DEFAULT, before: int | None = None, states: Iterable[JobState] = ()
    ) -> JobList:
        """A page of jobs, newest first; `before` is the `next` of the page before."""
        return await self._run(job_calls.jobs(limit, before, states))

    async def job(self, job_id: str) -> Job:
        """One job's state."""
        return await self._run(job_calls.job(job_id))

    async def cancel_job(self, job_id: str) -> Job:
        """End a job and everything it started; nothing happens to one that has ended."""
        return await self._run(job_calls.cancel_job(job_id))

    async def delete_job(self, job_id: str) -> None:
        """Remove a job that has ended, with its result, logs, telemetry and artefacts."""
        await self._run(job_calls.delete_job(job_id))

    async def job_result(self, job_id: str) -> AnyResult:
        """What a job found; raises Refused before its end."""
        return await self._run(job_calls.job_result(job_id))

    async def job_telemetry(self, job_id: str) -> Telemetry:
        """What the sensors said beside a job; also while it runs."""
        return await self._run(job_calls.job_telemetry(job_id))

    async def job_artifacts(
        self,
        job_id: str,
        target: Path,
        limit_bytes: int = FILE_MAX_BYTES,
        changed_since_s: float | None = None,
    ) -> int:
        """Fetch what a command left in its OUTPUT folder, as a tar file; gives its size in bytes.

        With `changed_since_s` also of one that runs: what changed since then, by the agent's clock; 0 for all.
        """
        async for _ in self._follow(artifacts_feed(job_id, target, limit_bytes, changed_since_s)):
            pass
        return target.stat().st_size

    async def job_logs(
        self, job_id: str, stream: str = "stdout", offset: int = 0, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """A job's output in pieces; with `follow` until the job has ended, over broken connections too."""
        async for item in self._follow(LogFeed(job_id, stream, offset, follow)):
            yield item

    async def job_events(self, job_id: str, last_event_id: str | None = None) -> AsyncIterator[JobEvent]:
        """What happens to a job until it has ended, over broken connections too."""
        async for item in self._follow(EventFeed(job_id, last_event_id)):
            yield item

    async def telemetry(self) -> TelemetrySample:
        """The newest sample of the device."""
        return await self._run(job_calls.telemetry())

    async def telemetry_stream(self, interval_s: float = DEFAULT_INTERVAL_S) -> AsyncIterator[TelemetrySample]:
        """The device's samples from now on, over broken connections too."""
        async for item in self._follow(TelemetryFeed(interval_s)):
            yield item

"""A benchmark campaign: many jobs on several hosts at once, collected as they end, on disk at every step."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

from client.analysis.runs import Entry, Run, write_run
from client.errors import EdgeError, NotAuthorized, Refused
from client.files.saved import file_name, write_telemetry_csv
from client.sdk.edge_client import AsyncEdgeClient
from client.sdk.hosts import Host
from client.sdk.retry import Retrying, Running
from contract.jobs import BenchmarkRequest, Job
from contract.results import BenchmarkResult
from contract.specs import BenchmarkSpec, label
from contract.telemetry import Telemetry

T = TypeVar("T")

POLL_INTERVAL_S = 0.5


class CampaignReport(Protocol):
    """Is told what happens; shows it in one way or another."""

    def submitted(self, host: str, jobs: int) -> None:
        """All jobs of a host are stored there."""

    def moved(self, host: str, entry: Entry, ended: int, total: int) -> None:
        """The job that a host is at; `ended` of its `total` jobs have ended."""

    def failed(self, host: str, error: EdgeError) -> None:
        """A host is given up, or refused a job."""


def plan(
    name: str, hosts: Sequence[Host], rounds: Sequence[tuple[int, BenchmarkSpec]], options: Mapping[str, Any]
) -> Run:
    """A run that has not begun: one entry for each job on each host, each with a key of its own.

    `options` are the fields of a request besides its name and spec.
    """
    entries = [
        Entry(
            host=host.name,
            repeat=repeat,
            key=uuid.uuid4().hex,
            request=BenchmarkRequest(name=f"{name} {label(spec)}"[:200], spec=spec, **options),
        )
        for host in hosts
        for repeat, spec in rounds
    ]
    return Run(created_at=datetime.now(UTC), name=name, client_version=version("edgerun"), entries=entries)


@dataclass
class Campaign:
    """A run that is executed; `run.json` in its folder is true after every step."""

    run: Run
    folder: Path
    report: CampaignReport
    blobs: Mapping[str, Path] = field(default_factory=dict)
    """Pictures that the jobs need, by digest."""
    errors: dict[str, EdgeError] = field(default_factory=dict)
    """Why hosts were given up."""
    refused: list[Refused] = field(default_factory=list)
    """Why single configurations were not measured."""

    def save(self) -> None:
        """Write `run.json`."""
        write_run(self.folder, self.run)

    async def submit(self, hosts: Sequence[Host]) -> None:
        """Store all jobs on all hosts; a host that fails does not keep the others from theirs."""
        await self._on_each(hosts, self._submit)

    async def measure(self, hosts: Sequence[Host]) -> None:
        """Submit what is not there yet, and collect everything until all jobs have ended."""

        async def both(client: AsyncEdgeClient, entries: list[Entry]) -> None:
            await self._submit(client, entries)
            await self._collect(client, entries)

        await self._on_each(hosts, both)

    async def _on_each(
        self, hosts: Sequence[Host], action: Callable[[AsyncEdgeClient, list[Entry]], Awaitable[None]]
    ) -> None:
        self.save()
        await asyncio.gather(*(self._on_one(host, action) for host in hosts))

    async def _on_one(self, host: Host, action: Callable[[AsyncEdgeClient, list[Entry]], Awaitable[None]]) -> None:
        entries = [entry for entry in self.run.entries if entry.host == host.name]
        try:
            async with AsyncEdgeClient(host) as client:
                await action(client, entries)
        except EdgeError as error:
            self.errors[host.name] = error
            for entry in entries:
                if not entry.settled:
                    entry.error = str(error)
            self.save()
            self.report.failed(host.name, error)

    async def _submit(self, client: AsyncEdgeClient, entries: list[Entry]) -> None:
        device = (await client.info()).device
        retrying = Retrying()
        for path in self.blobs.values():
            await retrying(partial(client.put_blob, path))
        for entry in entries:
            entry.device = device
            if entry.job is None:
                await self._submit_one(client, entry, retrying)
                self.save()
        self.report.submitted(client.host.name, sum(entry.job is not None for entry in entries))

    async def _submit_one(self, client: AsyncEdgeClient, entry: Entry, retrying: Retrying) -> None:
        """A configuration that the agent refuses does not keep the others from being measured."""
        try:
            entry.job = await retrying(partial(client.submit, entry.request, entry.key))
        except NotAuthorized:
            raise
        except Refused as error:
            entry.error = str(error)
            self.refused.append(error)
            self.report.failed(client.host.name, error)

    async def _collect(self, client: AsyncEdgeClient, entries: list[Entry]) -> None:
        retrying, running = Retrying(), Running(client.host.name)
        for entry in entries:
            while not entry.settled:
                await self._look_at(client, entry, retrying)
                if entry.job is not None:
                    running.check(entry.job, entry.request)
                ended = sum(other.settled for other in entries)
                self.report.moved(client.host.name, entry, ended, len(entries))
                if not entry.settled:
                    await asyncio.sleep(POLL_INTERVAL_S)

    async def _look_at(self, client: AsyncEdgeClient, entry: Entry, retrying: Retrying) -> None:
        assert entry.job is not None
        job_id = entry.job.id
        try:
            job = await retrying(lambda: client.job(job_id))
        except Refused as error:
            entry.error = str(error)
        else:
            if job.state.ended:
                entry.result, entry.telemetry = await collect(client, job, retrying)
            entry.job = job
        if entry.settled:
            self.save()
            if entry.telemetry is not None:
                name = f"telemetry-{file_name(entry.host)}-{entry.job.number}.csv"
                write_telemetry_csv(self.folder / name, entry.telemetry)


async def collect(
    client: AsyncEdgeClient, job: Job, retrying: Retrying
) -> tuple[BenchmarkResult | None, Telemetry | None]:
    """What an ended job left; None for what it did not leave, as one that was cancelled in the queue."""
    result: BenchmarkResult | None = None
    telemetry: Telemetry | None = None
    with suppress(Refused):
        found = await retrying(lambda: client.job_result(job.id))
        result = found if isinstance(found, BenchmarkResult) else None
    with suppress(Refused):
        telemetry = await retrying(lambda: client.job_telemetry(job.id))
    return result, telemetry

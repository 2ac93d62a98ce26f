"""`provision watch`: fetch every result as it comes, so that nothing measured is lost with the device."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from client.durations import format_duration
from client.errors import AccessDenied, BadAnswer, EdgeError, Refused
from client.files.fetch import fetch_job
from client.files.inside import inside
from client.files.so_far import SoFar
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from contract.jobs import Job, JobState, JobSummary, Progress
from provisioning.errors import NoDeployment
from provisioning.lifecycle import Lifecycle
from provisioning.provider import Report, State

PAGES_MAX = 2000
"""The most pages of jobs, so that a list without end ends."""
MOVED_S = 5.0
"""Clocks drift by less while a lease lasts."""
UNFINISHED = "-unfinished"
TITLE_CHARS = 40
ROUNDS_LEFT = 20
"""Before the end of a lease a round is so small a part of the time that is left, and at least a second."""
WAITING = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class LastCall:
    """What is done before a lease ends; times in seconds before that."""

    lead_s: float = 150.0
    """From then on also what is not finished is fetched, again and again."""
    stop_s: float = 10.0
    """Then what runs is ended, so that its result is whole; 0 lets it run into the end."""


class Watch:
    """Fetches the jobs of one host into a folder, one folder a job."""

    def __init__(self, host: Host, folder: Path, report: Report) -> None:
        self._host = host
        self._folder = folder
        self._report = report
        self._so_far: dict[str, SoFar] = {}
        self._said: set[str] = set()
        self._waiting: dict[str, JobSummary] = {}
        """What had not ended when the agent was asked last."""

    def fetch(self) -> None:
        """Fetch what ended and is not here yet; raises EdgeError and OSError."""
        with EdgeClient(self._host) as client:
            jobs = list(self._jobs(client))
            self._waiting = {job.id: job for job in jobs if not job.state.ended}
            for job in jobs:
                if job.state.ended and not (target := inside(self._folder, job.id)).exists():
                    self._fetch(client, client.job(job.id), target)

    def fetch_unfinished(self, left_s: float) -> None:
        """Fetch what runs, as it is, and say what will not be done in the time that is left; raises EdgeError."""
        self._say(
            f"the lease ends in {format_duration(left_s)}: what runs is fetched as it is until then", key="the end"
        )
        with EdgeClient(self._host) as client:
            for summary in [*self._waiting.values()]:
                if summary.state is JobState.QUEUED:
                    self._say(f"  {_named(summary)} is queued and will not be done", key=summary.id)
                    continue
                job = client.job(summary.id)
                self._say(f"  {_named(summary)} {_outlook(job, left_s)}", key=summary.id)
                folder = inside(self._folder, f"{job.id}{UNFINISHED}")
                self._so_far.setdefault(job.id, SoFar(folder)).update(client, job)

    def tell(self, left_s: float) -> None:
        """Tell the agent when its place is taken away; raises EdgeError."""
        with EdgeClient(self._host) as client:
            client.set_lease(left_s)

    def stop(self) -> None:
        """End what has not ended, those that wait first, so that results are whole; raises EdgeError."""
        with EdgeClient(self._host) as client:
            for summary in sorted(self._waiting.values(), key=lambda each: each.state is JobState.RUNNING):
                try:
                    client.cancel_job(summary.id)
                except Refused:  # it has just ended
                    continue
                self._say(f"  {summary.id} was ended, as its device is taken away now", key=f"{summary.id} ended")

    @property
    def lost(self) -> list[str]:
        """What had not ended when the agent was heard last: a line each, with what of it is here."""
        lines = []
        for job_id, summary in self._waiting.items():
            kept = self._so_far.get(job_id)
            here = f"; what it had left until shortly before is in {kept.folder}" if kept is not None else ""
            lines.append(f"{_named(summary)} was {summary.state.value} and is lost{here}")
        return lines

    def _fetch(self, client: EdgeClient, job: Job, target: Path) -> None:
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        fetch_job(client, job, part)
        part.replace(target)
        self._so_far.pop(job.id, None)
        shutil.rmtree(inside(self._folder, f"{job.id}{UNFINISHED}"), ignore_errors=True)
        self._report(f"{job.id} ({job.state.value}) is in {target}")

    def _jobs(self, client: EdgeClient) -> Iterator[JobSummary]:
        """All of them, newest first, a page at a time."""
        before: int | None = None
        for _ in range(PAGES_MAX):
            page = client.jobs(before=before)
            yield from page.jobs
            if page.next is None:
                return
            if page.next <= 0 or (before is not None and page.next >= before):
                raise BadAnswer(client.host.name, "its list of jobs goes in a circle")
            before = page.next
        raise BadAnswer(client.host.name, f"its list of jobs has more than {PAGES_MAX} pages")

    def _say(self, line: str, key: str) -> None:
        """Say something about a matter once."""
        if key not in self._said:
            self._said.add(key)
            self._report(line)


def watch(
    lifecycle: Lifecycle,
    name: str,
    watching: Watch,
    interval_s: float,
    seconds_left: Callable[[], float | None],
    report: Report,
    last_call: LastCall = LastCall(),
) -> None:
    """Fetch until the deployment is gone; a moment's silence of the agent or the site is waited out.

    Raises AccessDenied when the agent is silent and the site does not let us look any more, and NoDeployment when
    somebody took it down.
    """
    said = ""
    end = _LeaseEnd(seconds_left)
    while True:
        trouble: EdgeError | OSError | None
        left_s, trouble = end.look()
        try:
            if left_s is not None and end.moved:
                watching.tell(left_s)
            watching.fetch()
            if left_s is not None and left_s < last_call.lead_s:
                watching.fetch_unfinished(left_s)
                if left_s < last_call.stop_s and trouble is None:
                    watching.stop()
        except (EdgeError, OSError) as error:
            if _is_gone(lifecycle, name):
                for line in watching.lost:
                    report(line)
                report(f"{name} is gone; what was measured until then is in the folder")
                return
            left_s, trouble = None if left_s is None else min(left_s, ROUNDS_LEFT), error
        if trouble is not None and str(trouble) != said:
            report(f"waiting: {trouble}" if left_s is None else f"fetching goes on: {trouble}")
        said = str(trouble or "")
        time.sleep(interval_s if left_s is None else _pause_s(interval_s, left_s, last_call))


def _named(job: JobSummary) -> str:
    """A job in a line: its id and the begin of what it does."""
    first, *more = job.title.splitlines() or [""]
    shown = f"{first[:TITLE_CHARS]}..." if more or len(first) > TITLE_CHARS else first
    return f"{job.id} ({shown})"


def _pause_s(interval_s: float, left_s: float, last_call: LastCall) -> float:
    """How long to wait for the next round: not beyond the moment at which the last call begins."""
    if left_s > last_call.lead_s:
        return min(interval_s, left_s - last_call.lead_s)
    until_stop_s = left_s - last_call.stop_s
    pause_s = min(interval_s, max(1.0, left_s / ROUNDS_LEFT))
    return min(pause_s, until_stop_s) if until_stop_s > 0 else pause_s


def _outlook(job: Job, left_s: float) -> str:
    """How far a running job is, and whether it can be done in time."""
    progress, began = job.progress, job.started_at
    if progress is None or not progress.total or began is None:
        return "runs, and may not be done"
    done = f"is at {progress.done:g} of {progress.total:g} {progress.unit}"
    needed_s = _needed_s(progress, (datetime.now(UTC) - began).total_seconds())
    if needed_s is None or needed_s < left_s:
        return done
    return f"{done} and will not be done: that takes about {format_duration(needed_s)} more"


def _needed_s(progress: Progress, elapsed_s: float) -> float | None:
    """Seconds until it is through, at the pace it had; None before it has one."""
    assert progress.total is not None
    if progress.unit == "seconds":
        return progress.total - progress.done
    return elapsed_s / progress.done * (progress.total - progress.done) if progress.done > 0 else None


def _is_gone(lifecycle: Lifecycle, name: str) -> bool:
    """Whether a deployment is not there any more; raises AccessDenied and NoDeployment where waiting does not help."""
    try:
        return lifecycle.status(name).state is State.ABSENT
    except (AccessDenied, NoDeployment):
        raise
    except EdgeError:
        return False


class _LeaseEnd:
    """When a lease ends; as it was known last, while the site does not tell."""

    def __init__(self, seconds_left: Callable[[], float | None]) -> None:
        self._seconds_left = seconds_left
        self._at: float | None = None
        self.moved = False
        """Whether it is another than it was, or was not known: the lease was extended, or cut."""

    def look(self) -> tuple[float | None, EdgeError | None]:
        """Seconds left, None where nothing ends or nobody knows; and why the site did not tell."""
        try:
            left_s = self._seconds_left()
        except EdgeError as error:
            return (None if self._at is None else self._at - time.monotonic()), error
        before, self._at = self._at, None if left_s is None else time.monotonic() + left_s
        self.moved = self._at is not None and (before is None or abs(self._at - before) > MOVED_S)
        return left_s, None

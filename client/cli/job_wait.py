"""Waiting for the end of jobs, with a line that tells how far they are."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.progress import Progress

from client.cli.job_views import job_name, progress_text
from client.console import note, note_console, text_column
from client.durations import format_duration
from client.errors import EdgeError
from client.sdk.edge_client import EdgeClient
from contract.jobs import Job

POLL_S = 0.5


class Shown(Protocol):
    """Where it is told how far a job is."""

    def __call__(self, job: Job, /) -> None:
        """Show this job as the one that is waited for."""


def wait_for(client: EdgeClient, ids: Sequence[str], timeout_s: float | None, *, quiet: bool) -> list[Job]:
    """The jobs as they ended, in the order of their ids; raises EdgeError when the time is up before."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    ended = []
    with _line(quiet=quiet) as show:
        for number, job_id in enumerate(ids):
            job = client.job(job_id)
            while not job.state.ended:
                show(job)
                if deadline is not None and time.monotonic() >= deadline:
                    left = f"{len(ids) - number} of {len(ids)} jobs have" if len(ids) > 1 else f"job {job_id} has"
                    text = f"{client.host.name}: {left} not ended after {format_duration(timeout_s or 0)}"
                    raise EdgeError(text, hint="the jobs go on; `client jobs watch` shows how far they are")
                time.sleep(POLL_S)
                job = client.job(job_id)
            ended.append(job)
            if not quiet:
                note(f"{client.host.name}: {job_id} {job.state}" + (f": {job.error.detail}" if job.error else ""))
    return ended


@contextmanager
def _line(*, quiet: bool) -> Iterator[Shown]:
    """A line on a terminal that is drawn over itself; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda job: None
        return
    with Progress(text_column("{task.description}"), console=note_console(), transient=True) as progress:
        task = progress.add_task("")

        def show(job: Job) -> None:
            progress.update(task, description=f"{job_name(job)}: {job.state} {progress_text(job)}")

        yield show

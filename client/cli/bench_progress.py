"""What a user sees while benchmarks run: one bar a host on a terminal, a line an event elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn

from client.analysis.runs import Entry
from client.bench import CampaignReport
from client.console import complain, note, note_console, text_column
from client.errors import EdgeError
from contract.jobs import JobState
from contract.specs import label


class Quietly:
    """Says only what went wrong."""

    def submitted(self, host: str, jobs: int) -> None:
        """A quiet run does not tell that jobs were stored."""

    def moved(self, host: str, entry: Entry, ended: int, total: int) -> None:
        """A quiet run does not tell how far it is."""

    def failed(self, host: str, error: EdgeError) -> None:
        """A line for a host that is given up."""
        complain(error, "client")


class Lines(Quietly):
    """A line when jobs are stored, and one when each has ended."""

    def submitted(self, host: str, jobs: int) -> None:
        """How many."""
        note(f"{host}: {jobs} job{'s' if jobs != 1 else ''} submitted")

    def moved(self, host: str, entry: Entry, ended: int, total: int) -> None:
        """Only the end of a job is worth a line."""
        if entry.settled:
            note(f"{host}: {ended} of {total}: {label(entry.request.spec)}: {outcome(entry)}")


class Bars(Quietly):
    """A bar for each host with the running job's rate and the CPU's temperature."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def submitted(self, host: str, jobs: int) -> None:
        """The bar appears."""
        self._tasks[host] = self._progress.add_task(host, total=jobs, state="submitted")

    def moved(self, host: str, entry: Entry, ended: int, total: int) -> None:
        """The bar moves within a job too."""
        part = 0.0 if entry.settled else _part(entry)
        state = "done" if ended == total else f"{label(entry.request.spec)}: {_now(entry)}"
        self._progress.update(self._tasks[host], completed=ended + part, state=state)


def _part(entry: Entry) -> float:
    progress = entry.job.progress if entry.job else None
    if progress is None or progress.phase not in ("timed", "cool-down"):
        return 0.0
    return min(progress.done / progress.total, 0.99) if progress.total and progress.phase == "timed" else 0.99


def _now(entry: Entry) -> str:
    job = entry.job
    if job is None or job.state is not JobState.RUNNING or job.progress is None:
        before = f", {job.position} before it" if job is not None and job.position else ""
        return f"{job.state if job else 'not submitted'}{before}"
    progress = job.progress
    fps = "" if progress.fps is None else f" {progress.fps:.1f} fps"
    heat = progress.cpu_temperature_celsius
    return f"{progress.phase}{fps}" + ("" if heat is None else f" {heat:.0f} °C")


def outcome(entry: Entry) -> str:
    """How a job ended, in a few words."""
    if entry.error is not None:
        return entry.error
    assert entry.job is not None
    result = entry.result
    if entry.job.state is not JobState.SUCCEEDED or result is None:
        return f"{entry.job.state}" + (f": {entry.job.error.detail}" if entry.job.error else "")
    fps = "n/a" if result.fps is None else f"{result.fps:.1f}"
    median = "n/a" if result.latency is None else f"{result.latency.p50_ms:.3g}"
    return f"{fps} fps, p50 {median} ms, {result.validity.verdict}"


@contextmanager
def reporting(*, quiet: bool) -> Iterator[CampaignReport]:
    """The form that suits where standard error leads."""
    if quiet:
        yield Quietly()
    elif not sys.stderr.isatty():
        yield Lines()
    else:
        columns = (
            text_column("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            text_column("{task.fields[state]}"),
        )
        with Progress(*columns, console=note_console()) as progress:
            yield Bars(progress)

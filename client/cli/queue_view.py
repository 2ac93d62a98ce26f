"""The queues of one or several hosts, live on a terminal, a line for every change elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from client.cli.job_views import Listed, job_name, progress_text, queue_table
from client.cli.together import together
from client.console import live_console, say
from client.errors import EdgeError
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from contract.jobs import JobList, JobState

POLL_INTERVAL_S = 1.0
SHOWN_ENDED = 5
"""Ended jobs below the queue of each host."""
SHOWN_ACTIVE = 30
ACTIVE = (JobState.QUEUED, JobState.RUNNING)

Queue = tuple[JobList, JobList] | EdgeError
"""What waits and runs, and the newest of all; or why it is not known."""


def watch_queues(hosts: Sequence[Host], *, until_idle: bool, live: bool) -> None:
    """Show queues until interrupted, or until nothing waits or runs. Raises the error of a lone host."""
    with ExitStack() as stack, _display(live) as show:
        clients = [stack.enter_context(EdgeClient(host)) for host in hosts]
        while True:
            queues = dict(zip(hosts, together(clients, _look), strict=True))
            for queue in queues.values():
                if isinstance(queue, EdgeError) and (len(hosts) == 1 or until_idle):
                    raise queue
            show(queues)
            if until_idle and not any(_active(queue) for queue in queues.values()):
                return
            time.sleep(POLL_INTERVAL_S)


Show = Callable[[dict[Host, Queue]], None]


@contextmanager
def _display(live: bool) -> Iterator[Show]:
    if not live:
        yield _Changes()
        return
    with Live(console=live_console(), auto_refresh=False) as screen:
        yield lambda queues: screen.update(queue_view(queues), refresh=True)


def _look(client: EdgeClient) -> tuple[JobList, JobList]:
    active = client.jobs(SHOWN_ACTIVE, states=ACTIVE)
    active.jobs = [job for job in active.jobs if job.state in ACTIVE]  # whatever else an agent lists
    return active, client.jobs(SHOWN_ENDED + SHOWN_ACTIVE)


def _active(queue: Queue) -> bool:
    return not isinstance(queue, EdgeError) and bool(queue[0].jobs)


def _shown(host: Host, queue: tuple[JobList, JobList]) -> list[Listed]:
    """The running job, then the queue in its order, then what ended last."""
    waiting = sorted(queue[0].jobs, key=lambda job: (job.state is JobState.QUEUED, job.position or 0, job.number))
    ended = [job for job in queue[1].jobs if job.state.ended][:SHOWN_ENDED]
    return [Listed(host, job) for job in (*waiting, *ended)]


def queue_view(queues: dict[Host, Queue]) -> RenderableType:
    """All hosts in one table, with what is wrong below."""
    listed = [
        each for host, queue in queues.items() if not isinstance(queue, EdgeError) for each in _shown(host, queue)
    ]
    parts: list[RenderableType] = [queue_table(listed) if listed else Text("no jobs yet", "dim")]
    for host, queue in queues.items():
        if isinstance(queue, EdgeError):
            parts.append(Text(str(queue), "bold red"))
        elif more := queue[0].counts.get(JobState.QUEUED, 0) - SHOWN_ACTIVE:
            parts += [Text(f"{host.name}: {more} more are queued", "dim")] if more > 0 else []
    return Group(*parts, Text("Ctrl-C ends watching, not the jobs", "dim"))


class _Changes:
    """Prints a line when a job's state changes, and at every tenth of its way."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[str, int]] = {}
        self._errors: dict[str, str] = {}
        self._first = True

    def __call__(self, queues: dict[Host, Queue]) -> None:
        for host, queue in queues.items():
            if isinstance(queue, EdgeError):
                if self._errors.get(host.name) != str(queue):
                    say(f"{host.name}: {queue}")
                self._errors[host.name] = str(queue)
                continue
            self._errors.pop(host.name, None)
            for each in reversed(_shown(host, queue)):
                self._one(each)
        self._first = False

    def _one(self, each: Listed) -> None:
        job, progress = each.job, each.job.progress
        tenth = int(10 * progress.done / progress.total) if progress and progress.total else 0
        now = (job.state.value, 0 if job.state.ended else tenth)
        key = (each.host.name, job.id)
        if self._seen.get(key) != now and not (self._first and job.state.ended):
            detail = progress_text(job)
            say(f"{each.host.name}: {job.id} {job_name(job)}: {job.state}" + (f", {detail}" if detail else ""))
        self._seen[key] = now

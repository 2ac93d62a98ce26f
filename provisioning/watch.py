"""`provision watch`: fetch every result as it comes, so that nothing measured is lost with the device."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from client.errors import BadAnswer, EdgeError, Refused
from client.files.fetch import fetch_job, fetch_log
from client.files.inside import inside
from client.files.saved import make_folder, write_job, write_telemetry_csv
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from contract.jobs import Job, JobState, JobSummary
from provisioning.errors import AccessDenied, NoDeployment
from provisioning.lifecycle import Lifecycle
from provisioning.provider import Report, State

PAGES_MAX = 2000
"""The most pages of jobs, so that a list without end ends."""
LAST_CALL_S = 150.0
"""Before the end of a lease also what is not finished is fetched: logs and telemetry so far."""


class Watch:
    """Fetches the jobs of one host into a folder, one folder a job."""

    def __init__(self, host: Host, folder: Path, report: Report) -> None:
        self._host = host
        self._folder = folder
        self._report = report

    def fetch(self, *, unfinished: bool = False) -> list[str]:
        """Fetch what ended and is not here yet; ids of the jobs. Raises EdgeError."""
        fetched = []
        with EdgeClient(self._host) as client:
            for job in self._jobs(client):
                target = inside(self._folder, f"{job.id}{'' if job.state.ended else '-unfinished'}")
                if (job.state.ended or unfinished) and not target.exists():
                    self._fetch(client, client.job(job.id), target)
                    fetched.append(job.id)
        return fetched

    def _fetch(self, client: EdgeClient, job: Job, target: Path) -> None:
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        if job.state.ended:
            fetch_job(client, job, part)
        else:
            _fetch_so_far(client, job, make_folder(part))
        part.replace(target)
        self._report(f"{job.id} ({job.state.value}) is in {target}")

    def _jobs(self, client: EdgeClient) -> Iterator[JobSummary]:
        """Those that have begun, newest first, a page at a time."""
        before: int | None = None
        for _ in range(PAGES_MAX):
            page = client.jobs(before=before)
            yield from (job for job in page.jobs if job.state is not JobState.QUEUED)
            if page.next is None:
                return
            if page.next <= 0 or (before is not None and page.next >= before):
                raise BadAnswer(client.host.name, "its list of jobs goes in a circle")
            before = page.next
        raise BadAnswer(client.host.name, f"its list of jobs has more than {PAGES_MAX} pages")


def _fetch_so_far(client: EdgeClient, job: Job, folder: Path) -> None:
    """What a running job has said and its sensors have seen."""
    write_job(folder, job)
    for stream in ("stdout", "stderr"):
        with contextlib.suppress(Refused):
            fetch_log(client, job, stream, folder / f"{stream}.log")
    with contextlib.suppress(Refused):
        write_telemetry_csv(folder / "telemetry.csv", client.job_telemetry(job.id))


def watch(
    lifecycle: Lifecycle,
    name: str,
    watching: Watch,
    interval_s: float,
    seconds_left: Callable[[], float | None],
    report: Report,
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
            watching.fetch(unfinished=left_s is not None and left_s < LAST_CALL_S)
        except (EdgeError, OSError) as error:
            if _is_gone(lifecycle, name):
                report(f"{name} is gone; what was measured until then is in the folder")
                return
            left_s, trouble = None, error
        if trouble is not None and str(trouble) != said:
            report(f"waiting: {trouble}" if left_s is None else f"fetching goes on: {trouble}")
        said = str(trouble or "")
        time.sleep(min(interval_s, max(1.0, left_s / 10)) if left_s is not None else interval_s)


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

    def look(self) -> tuple[float | None, EdgeError | None]:
        """Seconds left, None where nothing ends or nobody knows; and why the site did not tell."""
        try:
            left_s = self._seconds_left()
        except EdgeError as error:
            return (None if self._at is None else self._at - time.monotonic()), error
        self._at = None if left_s is None else time.monotonic() + left_s
        return left_s, None

"""`client jobs`: what agents have run, run now, and will run."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from client.cli.job_ids import AmbiguousId, full_id
from client.cli.job_views import Listed, job_name, job_row, job_view, jobs_table
from client.cli.job_wait import wait_for
from client.cli.lease import say_lease
from client.cli.options import DURATION, AllHosts, Hosts, OutputForm, Quiet, chosen, chosen_one, on_each
from client.cli.queue_view import watch_queues
from client.console import EXIT_JOB_FAILED, Output, complain, emit, note, until_the_reader_leaves
from client.errors import EdgeError, Refused
from client.files.fetch import fetch_job
from client.files.saved import new_folder
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from contract.jobs import PAGE_MAX, Job, JobList, JobState

app = typer.Typer(
    help="List, watch, fetch, cancel and remove jobs.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

JobId = Annotated[str, typer.Argument(help="The job's id, as `client jobs ls` shows it, or its beginning.")]
JobIds = Annotated[list[str], typer.Argument(help="Ids of jobs, or their beginnings.")]
States = Annotated[list[JobState], typer.Option("--state", help="Only jobs in this state; may be repeated.")]


@app.command("ls")
def list_jobs(
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    state: States = [],  # noqa: B006
    limit: Annotated[int, typer.Option(min=1, max=PAGE_MAX, help="Jobs of each host, the newest.")] = 20,
    output: OutputForm = Output.TABLE,
) -> None:
    """List jobs, newest first. Letters: Q queued, R running, C succeeded, F failed, X cancelled, I interrupted.

    Example: client jobs ls --host edge1 --state queued --state running
    """
    pages: dict[str, JobList] = {}
    listed: list[Listed] = []

    def fetch(each: Host) -> None:
        with EdgeClient(each) as client:
            page = pages[each.name] = client.jobs(limit, states=state)
            listed.extend(Listed(each, job) for job in page.jobs)
            say_lease(client)

    try:
        on_each(chosen(host, all_hosts), fetch)
    finally:
        emit(
            output,
            document=lambda: {
                "jobs": [job_row(each) for each in listed],
                "hosts": {name: page.model_dump(mode="json", exclude={"jobs"}) for name, page in pages.items()},
            },
            rows=lambda: [job_row(each) for each in listed],
            view=lambda: jobs_table(listed),
        )
        for name, page in pages.items():
            _say_what_is_not_shown(name, page)


def _say_what_is_not_shown(host: str, page: JobList) -> None:
    if page.evicted:
        quota = f"{page.stored_bytes / 1e6:.0f} of {page.quota_bytes / 1e6:.0f} MB are in use"
        note(f"{host}: results of {page.evicted} jobs were removed, oldest first, to stay within the quota; {quota}")
    if page.next is not None:
        total = sum(page.counts.values())
        note(f"{host}: {total} jobs in all; --limit shows more")


@app.command("watch")
def watch_jobs(
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing waits or runs.")] = False,
) -> None:
    """Watch the queues of hosts live; Ctrl-C ends watching, not the jobs.

    Example: client jobs watch --host edge1 --host edge2
    """
    with until_the_reader_leaves():
        watch_queues(chosen(host, all_hosts), until_idle=until_idle, live=sys.stdout.isatty())


@app.command("show")
def show_job(
    job_id: JobId,
    host: Hosts = [],  # noqa: B006
    output: OutputForm = Output.TABLE,
) -> None:
    """Show one job in detail, with what it found once it has ended."""
    each = chosen_one(host)
    result = None
    with EdgeClient(each) as client:
        job = client.job(full_id(client, job_id))
        if job.state.ended:
            with suppress(Refused):
                result = client.job_result(job.id)
    emit(
        output,
        document=lambda: {
            "host": each.name,
            "job": job.model_dump(mode="json"),
            "result": result.model_dump(mode="json") if result else None,
        },
        rows=lambda: [job_row(Listed(each, job))],
        view=lambda: job_view(each, job, result),
    )


@app.command("logs")
def job_logs(
    job_id: JobId,
    host: Hosts = [],  # noqa: B006
    stream: Annotated[str, typer.Option(help="stdout or stderr.")] = "stdout",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
) -> None:
    """Print what a command job has printed: on a terminal with control characters as escapes, else as it is."""
    if stream not in ("stdout", "stderr"):
        raise typer.BadParameter(f"--stream is stdout or stderr, not {stream!r}")
    with EdgeClient(chosen_one(host)) as client, until_the_reader_leaves():
        for chunk in client.job_logs(full_id(client, job_id), stream, follow=follow):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()


@app.command("wait")
def wait_for_jobs(
    job_ids: JobIds,
    host: Hosts = [],  # noqa: B006
    timeout_s: Annotated[float | None, typer.Option("--timeout", help="Longest wait altogether.", **DURATION)] = None,
    quiet: Quiet = False,
) -> None:
    """Wait until jobs have ended; the jobs go on when waiting ends.

    Ends with 0 when all succeeded, with 7 when one did not, with 1 when the time was up before.

    Example: client jobs wait 4f1c --host edge1 && client jobs results 4f1c --host edge1
    """
    with EdgeClient(chosen_one(host)) as client:
        ids = [full_id(client, job_id) for job_id in job_ids]
        ended = wait_for(client, ids, timeout_s, quiet=quiet)
    if any(job.state is not JobState.SUCCEEDED for job in ended):
        raise typer.Exit(EXIT_JOB_FAILED)


@app.command("results")
def job_results(
    job_id: JobId,
    host: Hosts = [],  # noqa: B006
    save: Annotated[Path | None, typer.Option(help="Folder to write; default: runs/TIME-NAME.")] = None,
    quiet: Quiet = False,
) -> None:
    """Fetch result, telemetry, logs and artefacts of a job into a folder; prints the folder.

    Ends with 7 when the job did not succeed; what it left is fetched all the same.

    Example: client jobs results 4f1c --host edge1
    """
    with EdgeClient(chosen_one(host)) as client:
        job = client.job(full_id(client, job_id))
        if not job.state.ended:
            hint = f"`client jobs wait {job.id}` waits for its end; {client.host.name} keeps its result"
            raise EdgeError(f"job {job.id} is {job.state}: it has no result yet", hint=hint)
        fetched = fetch_job(client, job, save or new_folder(job_name(job)))
    print(fetched.folder)
    if not quiet:
        names = [path.name for path in fetched.files]
        note(", ".join(names) + (f", {len(fetched.artifacts)} artefacts" if fetched.artifacts else ""))
        for detail in fetched.missing:
            note(f"not there: {detail}")
    if job.state is not JobState.SUCCEEDED:
        note(f"the job {_ended(job)}")
        raise typer.Exit(EXIT_JOB_FAILED)


def _ended(job: Job) -> str:
    return f"is {job.state}" + (f": {job.error.detail}" if job.error else "")


@app.command("cancel")
def cancel_jobs(
    job_ids: JobIds,
    host: Hosts = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Cancel jobs with everything they started; nothing happens to those that have ended."""

    def cancel(client: EdgeClient, job_id: str) -> str:
        state = client.cancel_job(job_id).state
        return "being cancelled" if not state.ended else state

    _on_jobs(chosen_one(host), job_ids, cancel, quiet=quiet)


@app.command("rm")
def remove_jobs(
    job_ids: JobIds,
    host: Hosts = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Remove jobs that have ended, with their results, logs, telemetry and artefacts."""

    def remove(client: EdgeClient, job_id: str) -> str:
        client.delete_job(job_id)
        return "removed"

    _on_jobs(chosen_one(host), job_ids, remove, quiet=quiet)


def _on_jobs(host: Host, job_ids: Sequence[str], action: Callable[[EdgeClient, str], str], *, quiet: bool) -> None:
    """Do something with each and say what it is then; one that fails does not keep the others from theirs.

    Raises the last failure.
    """
    failures: list[EdgeError] = []
    with EdgeClient(host) as client:
        for job_id in job_ids:
            try:
                found = full_id(client, job_id)
                done = action(client, found)
            except (Refused, AmbiguousId) as error:
                failures.append(error)
                continue
            if not quiet:
                note(f"{host.name}: {found} is {done}")
    for failure in failures[:-1]:
        complain(failure, "client")
    if failures:
        raise failures[-1]

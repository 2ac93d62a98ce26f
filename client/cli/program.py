"""`client run`: a program of yours on a device, as if it ran here."""

import asyncio
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from client.analysis.matrix import UsageError
from client.cli.lease import say_lease
from client.cli.options import DURATION, Hosts, Interval, Priority, Quiet, Requeue, chosen_one, job_options
from client.console import EXIT_INTERRUPTED, EXIT_JOB_FAILED, EXIT_OK, note, transferring
from client.errors import AccessDenied, EdgeError, NotAuthorized, Refused
from client.files.bundles import pack
from client.files.fetch import ARTIFACTS, fetch_job
from client.files.saved import new_folder, reserved_folder
from client.sdk.calls import file_digest
from client.sdk.edge_client import AsyncEdgeClient, EdgeClient
from client.sdk.hosts import Host
from client.sdk.retry import Retrying, Running
from contract.codes import ErrorCode
from contract.jobs import AnyRequest, CommandRequest, Job, JobState
from contract.results import CommandResult
from contract.specs import CommandSpec
from contract.text import NAME_MAX, visible
from contract.tokens import Scope

POLL_INTERVAL_S = 0.5
BUNDLE_MAX_BYTES = 1 << 40


def run(
    argv: Annotated[list[str], typer.Argument(metavar="-- COMMAND [ARGS]...", help="The program and its arguments.")],
    host: Hosts = [],  # noqa: B006
    bundle: Annotated[Path | None, typer.Option(help="Folder that is sent and in which the program starts.")] = None,
    env: Annotated[list[str], typer.Option(help="Variable for the program, NAME=VALUE; may be repeated.")] = [],  # noqa: B006
    timeout: Annotated[float, typer.Option(help="When the program is ended.", show_default="1h", **DURATION)] = 3600.0,
    interval: Interval = 1.0,
    priority: Priority = 0,
    requeue: Requeue = False,
    name: Annotated[str | None, typer.Option(help="Name of the job; default: the program's.")] = None,
    save: Annotated[Path | None, typer.Option(help="Folder for what comes back; default runs/TIME-NAME.")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Print the job's id and do not wait.")] = False,
    quiet: Quiet = False,
) -> None:
    """Run a program on a device, with its output here and the device's telemetry recorded.

    What the program writes into the folder $OUTPUT comes back. Only where the agent allows commands. Ends with 7
    when the program does not end with 0.

    Example: client run --host edge1 --bundle . --timeout 10m -- python train.py --steps 500
    """
    each = chosen_one(host)
    title = visible(name or Path(argv[0]).name)[:NAME_MAX]
    variables = _variables(env)
    options = job_options(priority, interval, timeout, requeue=requeue)

    def submit() -> Job:
        with EdgeClient(each) as client:
            _require_reading(client, unless=detach)
            digest = _send(client, bundle, quiet=quiet) if bundle is not None else None
            spec = CommandSpec(argv=list(argv), env=dict(variables), bundle=digest)
            return _submit(client, CommandRequest(name=title, spec=spec, **options))

    if detach:
        job = submit()
        print(job.id)
        _say_how_to_come_back(each, job)
        return
    with reserved_folder(save or new_folder(title)) as folder:
        raise typer.Exit(_attend(each, submit(), folder, quiet=quiet))


def _variables(texts: Sequence[str]) -> Mapping[str, str]:
    variables = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--env takes NAME=VALUE, not {text!r}")
        variables[name] = value
    return variables


def _send(client: EdgeClient, bundle: Path, *, quiet: bool) -> str:
    """Pack the folder and put it on the agent; gives its digest."""
    limit_bytes = _limit_bytes(client)
    with tempfile.TemporaryDirectory(prefix="edgerun-") as scratch:
        archive = Path(scratch) / f"{bundle.resolve().name or 'bundle'}.tar"
        packed = pack(bundle, archive, limit_bytes)
        if not quiet:
            left_out = f"; left out: {', '.join(packed.left_out)}" if packed.left_out else ""
            size = f"{packed.content_bytes / 1e6:.2f} MB"
            note(
                f"bundle: {packed.files} file{'s' * (packed.files != 1)}, {size}, {file_digest(archive)[:19]}{left_out}"
            )
        with transferring(quiet=quiet or not sys.stderr.isatty()) as progress:
            return client.put_blob(archive, progress)


def _require_reading(client: EdgeClient, *, unless: bool) -> None:
    """Raise AccessDenied before a program is started whose output could not be shown, unless nobody waits for it."""
    if not unless and Scope.READ not in (access := client.access()).scopes:
        hint = "--detach starts it all the same; who has a token with the scope read sees what it prints"
        raise AccessDenied(f"{client.host.name}: the token {access.token!r} may not read what it prints", hint=hint)


def _limit_bytes(client: EdgeClient) -> int:
    """What a bundle may have; where the token may not ask, the agent itself refuses what is too large."""
    try:
        return client.info().limits.model_bytes
    except NotAuthorized as refusal:
        if refusal.problem.code != ErrorCode.SCOPE_MISSING:
            raise
        return BUNDLE_MAX_BYTES


def _submit(client: EdgeClient, request: CommandRequest) -> Job:
    say_lease(client)
    try:
        return client.submit(request)
    except Refused as refusal:
        if refusal.problem.code == ErrorCode.COMMANDS_NOT_ALLOWED:
            refusal.hint = (
                f"{client.host.name} was started without them: `provision up --allow-commands`, or `server "
                "--allow-commands on`, on a device of your own"
            )
        raise


def _attend(host: Host, job: Job, folder: Path, *, quiet: bool) -> int:
    """Show what the program prints until it ends, then fetch everything; gives the exit code."""
    if not quiet:
        note(f"job {job.id} on {host.name}")
    try:
        job = asyncio.run(_stream(host, job))
    except KeyboardInterrupt:
        _say_how_to_come_back(host, job)
        return EXIT_INTERRUPTED
    except EdgeError:
        _say_how_to_come_back(host, job)
        raise
    with EdgeClient(host) as client:
        fetched = fetch_job(client, job, folder)
        result = _result(client, job)
    if not quiet:
        names = ", ".join(str(path.relative_to(folder / ARTIFACTS)) for path in fetched.artifacts[:5])
        more = f" and {len(fetched.artifacts) - 5} more" if len(fetched.artifacts) > 5 else ""
        note(f"saved in {folder}" + (f", artefacts: {names}{more}" if names else ""))
    if job.state is not JobState.SUCCEEDED:
        note(_ending(job, result))
    return EXIT_OK if job.state is JobState.SUCCEEDED else EXIT_JOB_FAILED


def _ending(job: Job, result: CommandResult | None) -> str:
    if result is not None and job.state is JobState.FAILED and result.exit_code:
        return f"the program ended with exit code {result.exit_code}"
    return f"the job is {job.state}" + (f": {job.error.detail}" if job.error else "")


def _result(client: EdgeClient, job: Job) -> CommandResult | None:
    try:
        result = client.job_result(job.id)
    except Refused:
        return None
    return result if isinstance(result, CommandResult) else None


async def _stream(host: Host, job: Job) -> Job:
    """Copy both streams until the job has ended, over broken connections and restarts of the agent too."""
    async with AsyncEdgeClient(host) as client:
        job, _, _ = await asyncio.gather(
            _until_ended(client, job.id, job.request),
            _copy(client, job.id, "stdout", sys.stdout.buffer),
            _copy(client, job.id, "stderr", sys.stderr.buffer),
        )
        return job


async def _copy(client: AsyncEdgeClient, job_id: str, stream: str, target: BinaryIO) -> None:
    retrying, offset, ended = Retrying(), 0, False
    while not ended:
        ended = (await retrying(lambda: client.job(job_id))).state.ended  # asked first: the log is complete then
        async for chunk in client.job_logs(job_id, stream, offset, follow=True):
            offset += len(chunk)
            target.write(chunk)
            target.flush()


async def _until_ended(client: AsyncEdgeClient, job_id: str, request: AnyRequest) -> Job:
    retrying, running = Retrying(), Running(client.host.name)
    while not (job := await retrying(lambda: client.job(job_id))).state.ended:
        running.check(job, request)
        await asyncio.sleep(POLL_INTERVAL_S)
    return job


def _say_how_to_come_back(host: Host, job: Job) -> None:
    name = shlex.quote(host.name)
    note(f"the job goes on; what it prints: client jobs logs --follow {job.id} --host {name}")
    note(
        f"its results: client jobs results {job.id} --host {name}; to cancel: client jobs cancel {job.id} --host {name}"
    )

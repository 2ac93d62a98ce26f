"""The `provision` command."""

import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from client.console import EXIT_INTERRUPTED, Output, emit, note, plain_table, run, say
from client.sdk.hosts import HostsFile
from client.sdk.tunnel import holding
from client.version import version_option
from contract.models import MODEL_NAME_PATTERN
from image_model.catalog import PREFERRED_MODEL
from provisioning import extras, options
from provisioning.deployments import NAME_HINT, Deployments
from provisioning.errors import ProvisioningError
from provisioning.interruption import signals_interrupt
from provisioning.lifecycle import Lifecycle, Request
from provisioning.programs import SIGNALLED
from provisioning.provider import Overview, State
from provisioning.providers import KNOWN, PLACES, load, package_of
from provisioning.watcher import log_of, watch_in_background

UP_EXAMPLES = """Examples: provision up --on local --name edge1 | provision up --on docker --name box |
provision up --on ssh://pi@192.168.1.20 --name pi4 --offline | provision up --lease my-lease --name nano |
provision up --device-type raspberrypi4-64 --for 2h --name leased"""

app = typer.Typer(
    name="provision",
    help="Turn a place into a running agent, and back into nothing.",
    epilog="Example: provision up --on local --name edge1 && client classify parrot.jpg && provision down edge1",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.callback()(version_option)

Name = Annotated[str, typer.Argument(help="The deployment's name.")]
OutputForm = Annotated[Output, typer.Option("--output", "-o", help="What standard output carries.")]


def main(words: Sequence[str] | None = None, program: str = "provision") -> int:
    """Run the command line; returns the exit code."""
    with signals_interrupt() as received:
        code = run(app, program, words)
    return SIGNALLED + received[0] if code == EXIT_INTERRUPTED and received else code


def _checked_name(name: str) -> str:
    if not re.fullmatch(MODEL_NAME_PATTERN, name):
        raise typer.BadParameter(f"{name!r}: {NAME_HINT}")
    return name


def _runtimes(text: str | None) -> list[str] | None:
    try:
        return extras.parse(text or "") or None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--with") from error


@app.command("up", epilog=UP_EXAMPLES)
@options.takes_what_providers_take
def up(
    name: Annotated[str, typer.Option(help="Name of the host that results.", callback=_checked_name)],
    on: Annotated[str | None, typer.Option(help=f"Where: {PLACES}; default: {options.DEFAULT_KIND}.")] = None,
    port: options.Port = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    device_type: options.DeviceType = None,
    allow_commands: options.AllowCommands = False,
    runtimes: options.With = None,
    model: options.Model = PREFERRED_MODEL,
    keep: options.Keep = False,
    dry_run: options.DryRun = False,
    watch: options.Watch = None,
    **of_providers: Any,
) -> None:
    """Start an agent and enter it into the hosts file; a second time changes nothing."""
    agent: dict[str, Any] = {"port": port, "workers": workers, "threads": threads, "device-type": device_type}
    agent["allow-commands"] = "on" if allow_commands else None
    agent["with"] = _runtimes(runtimes)
    kind, given = options.of_place(on, agent, of_providers)
    if dry_run:
        return _plan(name, kind, given)
    host = _lifecycle().up(Request(name, kind, given, None if model == "none" else model, keep))
    if watch is not None:
        begun = watch_in_background(host.name, watch)
        how = "are fetched into" if begun else "are fetched already; the log of that, with the folder, is"
        note(f"results {how} {watch if begun else log_of(host.name)}")
    note(f"try: client classify PICTURE --host {host.name}")


def _plan(name: str, kind: str, given: dict[str, Any]) -> None:
    plan = package_of(kind).plan
    if plan is None:
        raise ProvisioningError(f"--dry-run is for leases, not for --on {kind}")
    load(plan)(name, given)


@app.command("down")
def down(
    name: Name,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Forget it even when it cannot be removed, such as on a board that died."),
    ] = False,
    with_lease: Annotated[
        bool, typer.Option("--with-lease", help="chi: give back its lease too, unless another deployment uses it.")
    ] = False,
) -> None:
    """End an agent and remove everything that `up` made; a second time is fine. A lease stays unless asked for."""
    if with_lease and (deployment := Deployments().find(name)) is not None:
        check = package_of(deployment.provider).lease_check
        if check is None:
            raise ProvisioningError(f"{name} is on {deployment.place}, which is not leased")
        load(check)(deployment)
    _lifecycle().down(name, forget=forget, with_lease=with_lease)


@app.command("status")
def status(
    name: Annotated[str | None, typer.Argument(help="The deployment's name; default: all.")] = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show what runs, where, and whether it is well; ends with 1 when something is not."""
    lifecycle = _lifecycle()
    overviews = [lifecycle.overview(name)] if name else list(lifecycle.overviews())
    _show(overviews, output)
    if any(overview.status.state is not State.RUNNING or overview.health != "ready" for overview in overviews):
        raise typer.Exit(1)


@app.command("list")
def list_deployments(output: OutputForm = Output.TABLE) -> None:
    """List all deployments."""
    _show(list(_lifecycle().overviews()), output)


@app.command("logs")
def logs(
    name: Name,
    tail: Annotated[int, typer.Option(help="Lines from the end.", min=1)] = 100,
) -> None:
    """Print the end of an agent's log."""
    for line in _lifecycle().logs(name, tail):
        say(line)


@app.command("exec", context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
def exec_there(
    name: Name,
    command: Annotated[
        list[str] | None, typer.Argument(help="The program and its arguments.", metavar="-- COMMAND...")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Follow a program that CHI@Edge had cut you off from, by its id if several."),
    ] = False,
) -> None:
    """Run a program where the agent is, in the agent's folder; ends with the program's exit code.

    Examples: provision exec edge1 -- python -V | provision exec --resume edge1
    """
    words = (command or [])[1:] if command and command[0] == "--" else command or []
    streams = (sys.stdout.buffer, sys.stderr.buffer)
    if resume:
        if len(words) > 1:
            raise typer.BadParameter("what is resumed is an id: provision exec --resume NAME [ID]")
        code = _lifecycle().resume(name, words[0] if words else None, *streams)
    elif not words or words[0].startswith("-"):
        raise typer.BadParameter("a program is missing: provision exec NAME -- PROGRAM..., options before the name")
    else:
        code = _lifecycle().exec(name, words, *streams)
    if code:
        raise typer.Exit(code)


@app.command("tunnel")
def tunnel(
    name: Annotated[str, typer.Argument(help="The host's name.")],
    port: Annotated[int, typer.Option(help="Port on this machine; default: any free one.", min=0, max=65535)] = 0,
) -> None:
    """Hold the SSH tunnel to an agent until Ctrl-C, for browsers, curl and `client`; prints where it begins.

    Example: provision tunnel pi4 --port 8443
    """
    host = HostsFile().named(name)
    if host.tunnel is None:
        raise ProvisioningError(f"{name} is reached directly, at {host.url}: it needs no tunnel")
    with holding(host, port, note) as held:
        say(held.url)
        note(f"{name} answers there until Ctrl-C. In another terminal:")
        note(f"  client open {name}, or $(client hosts curl {name})/v1/info; every `client` command takes this way too")
        with suppress(KeyboardInterrupt):
            held.wait()
    note(f"the tunnel to {name} is closed")


@app.command("push")
def push(
    name: Name,
    local: Annotated[Path, typer.Argument(help="A file or folder here.")],
    remote: Annotated[str, typer.Argument(help="Where to; relative to the agent's folder.")],
) -> None:
    """Copy a file or folder to where the agent is.

    Example: provision push edge1 notes.txt notes/
    """
    _lifecycle().push(name, local, remote)


@app.command("pull")
def pull(
    name: Name,
    remote: Annotated[str, typer.Argument(help="A file or folder there; relative to the agent's folder.")],
    local: Annotated[Path, typer.Argument(help="Where to, here.")],
) -> None:
    """Copy a file or folder from where the agent is.

    Example: provision pull edge1 agent.log .
    """
    _lifecycle().pull(name, remote, local)


def _lifecycle() -> Lifecycle:
    return Lifecycle(Deployments(), HostsFile(), note)


def _show(overviews: list[Overview], output: Output) -> None:
    rows = [_row(overview) for overview in overviews]
    emit(output, document=lambda: {"deployments": rows}, rows=lambda: rows, view=lambda: _view(rows))
    if not rows:
        note("nothing is deployed: `provision up --on local --name edge1` starts an agent on this machine")


def _row(overview: Overview) -> dict[str, Any]:
    deployment = overview.deployment
    return {
        "name": deployment.name,
        "on": deployment.provider,
        "phase": deployment.phase.value,
        "state": overview.status.state.value,
        "detail": overview.status.detail,
        "url": deployment.url,
        "health": overview.health,
        "default_model": overview.default_model,
        "created_at": deployment.created_at,
    }


def _view(rows: list[dict[str, Any]]) -> RenderableType:
    columns = ("name", "on", "state", "detail", "url", "health", "default_model")
    table = plain_table(*columns)
    for row in rows:
        table.add_row(*(Text(str(row[column] or "")) for column in columns))
    return table


for package in KNOWN.values():
    if package.commands is not None:
        load(package.commands)(app)

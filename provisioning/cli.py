"""The `provision` command."""

import re
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from client.console import Output, emit, note, plain_table, run
from client.hosts import HostsFile
from contract.models import MODEL_NAME_PATTERN
from image_model.catalog import PREFERRED_MODEL
from provisioning.deployments import NAME_HINT, Deployments
from provisioning.lifecycle import Lifecycle, Overview, Request
from provisioning.provider import State

app = typer.Typer(
    name="provision",
    help="Turn a place into a running agent, and back into nothing.",
    epilog="Example: provision up --on local --name edge1 && client classify parrot.jpg && provision down edge1",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(help="The deployment's name.")]
OutputForm = Annotated[Output, typer.Option("--output", "-o", help="What standard output carries.")]


def main() -> int:
    """Run the command line; returns the exit code."""
    return run(app, "provision")


def _checked_name(name: str) -> str:
    if not re.fullmatch(MODEL_NAME_PATTERN, name):
        raise typer.BadParameter(f"{name!r}: {NAME_HINT}")
    return name


@app.command("up")
def up(
    name: Annotated[str, typer.Option(help="Name of the host that results.", callback=_checked_name)],
    on: Annotated[str, typer.Option(help="Where: local.")] = "local",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.", min=0, max=65535)] = 0,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; default: what the machine allows.", min=1)
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads an inference uses.", min=1)] = None,
    allow_commands: Annotated[
        bool, typer.Option("--allow-commands", help="Let whoever has the token run programs there: `client run`.")
    ] = False,
    model: Annotated[str, typer.Option(help="Catalog model to push once it is up, or none.")] = PREFERRED_MODEL,
    keep: Annotated[bool, typer.Option("--keep", help="Keep what was made when something fails.")] = False,
) -> None:
    """Start an agent and enter it into the hosts file; a second time changes nothing.

    Example: provision up --on local --name edge1
    """
    given: dict[str, Any] = {"port": port, "workers": workers, "threads": threads}
    given["allow-commands"] = "on" if allow_commands else None
    options = {option: value for option, value in given.items() if value is not None}
    wanted = None if model == "none" else model
    host = _lifecycle().up(Request(name, on, options, wanted, keep))
    note(f"try: client classify PICTURE --host {host.name}")


@app.command("down")
def down(name: Name) -> None:
    """End an agent and remove everything that `up` made; a second time is fine."""
    _lifecycle().down(name)


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
        print(line)


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

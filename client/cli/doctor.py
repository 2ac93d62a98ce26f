"""`client doctor`: what works, what does not, and what to do about it."""

from collections.abc import Sequence

import typer
from rich.console import RenderableType
from rich.text import Text

from client.cli.options import AllHosts, Hosts, OutputForm, chosen
from client.cli.together import together
from client.console import EXIT_FAILED, EXIT_OK, Output, emit, note, plain_table
from client.errors import EdgeError, HostError
from client.sdk.checks import Check, check_host, check_machine
from client.sdk.hosts import Host, HostsFile


def doctor(
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """Check this machine and the way to each host, and say what to do where it fails.

    Example: client doctor --host edge1
    """
    checks = list(check_machine(HostsFile()))
    try:
        hosts = chosen(host, all_hosts)
    except HostError as error:
        if host or all_hosts:
            raise
        hosts = []
        note(f"no host is checked: {error}")
    show([*checks, *check_hosts(hosts)], output)


def check_hosts(hosts: Sequence[Host]) -> list[Check]:
    """The way to each host, looked at all at once."""
    found: list[Check] = []
    for checks in together(hosts, lambda host: list(check_host(host))):
        if isinstance(checks, EdgeError):
            raise checks
        found += checks
    return found


def show(checks: Sequence[Check], output: Output) -> None:
    """Print checks and end with 1 when one failed."""
    rows = [vars(check) for check in checks]
    emit(output, document=lambda: {"checks": rows}, rows=lambda: rows, view=lambda: _view(checks))
    raise typer.Exit(EXIT_OK if all(check.ok for check in checks) else EXIT_FAILED)


def _view(checks: Sequence[Check]) -> RenderableType:
    table = plain_table("", "what", "check", "finding")
    for check in checks:
        sign = Text("ok", "green") if check.ok else Text("FAILED", "bold red")
        table.add_row(sign, Text(check.subject), Text(check.name), Text(check.finding))
        if check.hint:
            table.add_row("", "", "", Text(check.hint, "dim"))
    return table

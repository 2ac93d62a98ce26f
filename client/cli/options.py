"""Options that several commands share."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from client.console import EXIT_FAILED, EXIT_SOME_HOSTS_FAILED, Output, complain
from client.durations import parse_duration
from client.errors import EdgeError
from client.sdk.hosts import Host, HostsFile
from client.sdk.project_file import NotAgreed
from contract.classify import DecodeMode
from contract.jobs import PRIORITY_LIMIT
from contract.telemetry import INTERVAL_MAX_S, INTERVAL_MIN_S

Hosts = Annotated[
    list[str],
    typer.Option("--host", "-H", help="A host's name, @group, or URL; several: edge1,edge2.", show_default=False),
]
AllHosts = Annotated[bool, typer.Option("--all", help="Every host in the hosts file.")]
OutputForm = Annotated[Output, typer.Option("--output", "-o", help="What standard output carries.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Look into folders below folders.")]
ServingRuntime = Annotated[
    str | None, typer.Option("--runtime", help="litert or tflite, instead of the agent's choice.")
]
Decode = Annotated[
    DecodeMode, typer.Option("--decode", help="exact: every pixel of a JPEG; fastest: less detail than fast.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=0.1, help="Seconds to wait for an answer.", show_default="60")
]


def _duration(text: str | float) -> float:
    if isinstance(text, float | int):  # a default
        return float(text)
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


DURATION: dict[str, Any] = {"parser": _duration, "metavar": "DURATION"}
"""What makes an option take 500ms, 60s, 10m or 2h; its value is in seconds."""

Interval = Annotated[float, typer.Option("--interval", help="Time between telemetry samples, 0.1s to 60s.", **DURATION)]


Priority = Annotated[
    int,
    typer.Option(min=-PRIORITY_LIMIT, max=PRIORITY_LIMIT, help="Higher goes first; equal ones in their order."),
]
Requeue = Annotated[
    bool, typer.Option("--requeue", help="Begin anew when the agent dies meanwhile, instead of ending interrupted.")
]


def job_options(priority: int, interval_s: float, timeout_s: float, *, requeue: bool) -> dict[str, Any]:
    """The fields that every kind of job request has; raises BadParameter."""
    return {
        "priority": priority,
        "telemetry_interval_s": checked_interval(interval_s),
        "timeout_s": timeout_s,
        "after_restart": "requeue" if requeue else "interrupt",
    }


def checked_interval(interval_s: float) -> float:
    """An interval that agents take; raises BadParameter."""
    if not INTERVAL_MIN_S <= interval_s <= INTERVAL_MAX_S:
        raise typer.BadParameter(f"--interval is from {INTERVAL_MIN_S:g}s to {INTERVAL_MAX_S:g}s, not {interval_s:g}s")
    return interval_s


def chosen(hosts: list[str], every: bool = False) -> list[Host]:
    """The hosts that the options mean, once the user agreed to what a folder chooses; raises HostError."""
    file = HostsFile()
    hosts = [name.strip() for text in hosts for name in text.split(",") if name.strip()]
    try:
        return file.choose(hosts, every=every)
    except NotAgreed as refusal:
        if not (sys.stdin.isatty() and sys.stderr.isatty()) or not typer.confirm(refusal.question, err=True):
            raise
    file.use_project()
    return file.choose(hosts, every=every)


def on_each(hosts: Sequence[Host], action: Callable[[Host], None]) -> None:
    """Execute an action host by host; one that fails does not keep the others from theirs.

    Raises the failure of a lone host; ends with 9 when some of several failed, and 1 when all did.
    """
    if len(hosts) == 1:
        action(hosts[0])
        return
    failed = 0
    for host in hosts:
        try:
            action(host)
        except EdgeError as error:
            complain(error, "client")
            failed += 1
    if failed:
        raise typer.Exit(EXIT_SOME_HOSTS_FAILED if failed < len(hosts) else EXIT_FAILED)


def chosen_one(hosts: list[str]) -> Host:
    """The one host that a command can talk to; raises BadParameter for several."""
    found = chosen(hosts)
    if len(found) > 1:
        raise typer.BadParameter(f"this command talks to one host, not to {', '.join(host.name for host in found)}")
    return found[0]

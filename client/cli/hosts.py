"""`client hosts`: names for agents, and whom to believe under them."""

import getpass
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from client.cli.doctor import check_hosts, show
from client.cli.options import AllHosts, Hosts, OutputForm, chosen
from client.console import Output, emit, note, plain_table
from client.errors import NotTrusted
from client.files.curl import write_curl_config
from client.files.prometheus import scrape_configuration
from client.sdk.hosts import TOKEN_VARIABLE, Host, HostsFile, normalised_url
from client.sdk.trust import fetch_certificate, fingerprint
from client.sdk.tunnel import reached_at

app = typer.Typer(
    help="Name agents and pin their certificates.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(help="The host's name.")]
Fingerprint = Annotated[
    str | None,
    typer.Option(
        help="SHA-256 of the certificate, as the agent's log or `provision status` shows it; pins without asking."
    ),
]


@app.command("ls")
def list_hosts(output: OutputForm = Output.TABLE) -> None:
    """List the known hosts; * marks the current one."""
    file = HostsFile()
    rows = [_row(host, file.current()) for host in file.hosts().values()]
    emit(output, document=lambda: {"hosts": rows}, rows=lambda: rows, view=lambda: _view(rows))
    if not rows:
        note("no host is known yet: `provision up --on local --name edge1` starts an agent on this machine")


@app.command("add")
def add_host(
    name: Name,
    url: Annotated[str, typer.Argument(help="The agent's address, such as https://192.0.2.7:8080.")],
    fingerprint: Fingerprint = None,
    token_file: Annotated[str | None, typer.Option(help="File that holds the token, readable by you alone.")] = None,
    token_command: Annotated[str | None, typer.Option(help="Command that prints the token.")] = None,
    group: Annotated[list[str], typer.Option(help="Group to be addressed as @GROUP; may be repeated.")] = [],  # noqa: B006
) -> None:
    """Name an agent, pin its certificate, and keep its token.

    The token is taken from EDGERUN_TOKEN or asked for; it is never an option, which other users could see. Later
    EDGERUN_TOKEN goes to the host that EDGERUN_HOST names only.

    Example: client hosts add pi4 https://192.0.2.7:8080 --fingerprint sha256:9f86...
    """
    host = Host(name, normalised_url(url), token_file=token_file, token_command=token_command, groups=tuple(group))
    if host.url.startswith("https://"):
        host = replace(host, certificate=_confirmed_certificate(host, fingerprint))
        if not (token_file or token_command):
            host = replace(host, token=_ask_for_token())
    HostsFile().put(host)
    note(f"{name} is {host.url}")


@app.command("use")
def use_host(
    name: Annotated[str | None, typer.Argument(help="The host's name.")] = None,
    here: Annotated[bool, typer.Option("--here", help="Agree to the hosts that ./edgerun.toml chooses.")] = False,
) -> None:
    """Make a host the one that commands talk to when --host is not given; with --here, in this folder only."""
    if (name is None) == (not here):
        raise typer.BadParameter("give the name of a host, or --here")
    if name is None:
        note(f"commands in this folder talk to {', '.join(HostsFile().use_project()) or 'nobody in particular'}")
        return
    HostsFile().use(name)
    note(f"{name} is the current host")


@app.command("rm")
def remove_host(name: Name) -> None:
    """Forget a host. The agent itself goes on; `provision down` ends one that provision made."""
    file = HostsFile()
    host = file.named(name)
    file.remove(name)
    note(f"{name} is forgotten")
    if host.provider:
        note(f"its agent still runs: `provision down {name}` ends it")


@app.command("trust")
def trust_host(name: Name, fingerprint: Fingerprint = None) -> None:
    """Pin the certificate that a host shows now, after comparing its fingerprint.

    Needed when an agent was recreated. The agent's log shows the fingerprint at its start.

    Example: client hosts trust edge1
    """
    file = HostsFile()
    host = file.named(name)
    file.put(replace(host, certificate=_confirmed_certificate(host, fingerprint)))
    note(f"{name}: pinned")


@app.command("test")
def test_hosts(
    name: Annotated[list[str] | None, typer.Argument(help="Hosts to test; default: the current one.")] = None,
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """See how far the way to a host leads: address, certificate, token, readiness."""
    hosts = chosen([*(name or []), *host], all_hosts)
    show(check_hosts(hosts), output)


@app.command("curl")
def curl_host(name: Name) -> None:
    """Print the beginning of a curl command for a host; certificate and token go into files of yours alone.

    Example: $(client hosts curl edge1)/v1/classify --data-binary @parrot.jpg
    """
    file = HostsFile()
    config, url = write_curl_config(file.named(name), file.curl_folder)
    print(f"curl --config {config} {url}")


@app.command("prometheus")
def prometheus_hosts(
    name: Annotated[list[str] | None, typer.Argument(help="Hosts to scrape; default: the current one.")] = None,
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where certificates and tokens go, for Prometheus to read.", file_okay=False)
    ] = None,
) -> None:
    """Print a scrape configuration for Prometheus; certificates and tokens go into files of yours alone.

    Include it in prometheus.yml with scrape_config_files. The scope `read` is enough for the token.

    Example: client hosts prometheus edge1 > edgerun.yml
    """
    hosts = chosen([*(name or []), *host], all_hosts)
    into = (folder or HostsFile().prometheus_folder).absolute()
    print(scrape_configuration(hosts, into), end="")
    note(f"certificates and tokens are in {into}: let Prometheus read them, and nobody else")


def _confirmed_certificate(host: Host, expected: str | None) -> str:
    """The certificate the host shows, once its fingerprint was compared; raises NotTrusted."""
    certificate = fetch_certificate(reached_at(host))
    shown = fingerprint(certificate)
    if expected is not None:
        if shown.removeprefix("sha256:") != expected.lower().removeprefix("sha256:").replace(":", ""):
            hint = "somebody may be in between: compare with the agent's own log"
            raise NotTrusted(f"{host.name}: {host.url} shows {shown}, not {expected}", hint=hint)
        return certificate
    if host.certificate:
        note(f"pinned until now: {fingerprint(host.certificate)}")
    note(f"{host.url} shows:  {shown}")
    if not sys.stdin.isatty() or not typer.confirm("Is this the fingerprint in the agent's own log?", err=True):
        hint = "give the fingerprint with --fingerprint where nobody can be asked"
        raise NotTrusted(f"{host.name}: the fingerprint was not confirmed", hint=hint)
    return certificate


def _ask_for_token() -> str | None:
    if TOKEN_VARIABLE in os.environ:
        return os.environ[TOKEN_VARIABLE]
    return getpass.getpass("Token: ").strip() or None if sys.stdin.isatty() else None


def _row(host: Host, current: str | None) -> dict[str, object]:
    secrets = (("set", host.token), ("file", host.token_file), ("command", host.token_command))
    return {
        "current": host.name == current,
        "name": host.name,
        "url": host.url,
        "token": next((kind for kind, value in secrets if value), "none"),
        "certificate": fingerprint(host.certificate) if host.certificate else None,
        "groups": " ".join(host.groups),
        "provider": host.provider,
        "tunnel": f"ssh://{host.tunnel.place}" if host.tunnel else None,
    }


def _view(rows: list[dict[str, object]]) -> RenderableType:
    table = plain_table("", "name", "url", "token", "certificate", "groups", "provider", "tunnel")
    for row in rows:
        table.add_row("*" if row["current"] else "", *(_cell(row, key) for key in list(row)[1:]))
    return table


def _cell(row: Mapping[str, object], key: str) -> str:
    value = row[key]
    if key == "certificate" and value is not None:
        return f"{str(value)[:19]}..."
    return "" if value is None else str(value)

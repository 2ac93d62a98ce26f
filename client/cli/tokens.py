"""`client tokens`: who may use an agent, and for what."""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from client.analysis.matrix import UsageError
from client.cli.options import DURATION, AllHosts, Hosts, OutputForm, Quiet, chosen, chosen_one, on_each
from client.cli.token_views import HostChanges, HostTokens, audit_row, audit_view, token_row, tokens_view
from client.console import Output, emit, note, say
from client.durations import format_duration
from client.errors import EdgeError, HostError
from client.files.curl import write_curl_config
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host, HostsFile
from client.sdk.rotation import rotate, take_back
from contract.tokens import (
    AUDIT_PAGE_MAX,
    EXPIRES_MAX_S,
    EXPIRES_MIN_S,
    TOKEN_NAME_PATTERN,
    NewToken,
    Scope,
    TokenInfo,
)

app = typer.Typer(
    help="Make, list and revoke tokens: who may read, infer, run jobs, or administer an agent.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _name(text: str) -> str:
    if not re.fullmatch(TOKEN_NAME_PATTERN, text):
        rule = "up to 64 small letters, digits, dots, _ and -, a letter or digit first"
        raise typer.BadParameter(f"a name has {rule}, not {text[:80]!a}")
    return text


def _new_name(text: str | None) -> str | None:
    return None if text is None else _name(text)


def _lifetime_s(seconds: float | None) -> float | None:
    if seconds is not None and not EXPIRES_MIN_S <= seconds <= EXPIRES_MAX_S:
        least, most = format_duration(EXPIRES_MIN_S), format_duration(EXPIRES_MAX_S)
        raise typer.BadParameter(f"a token is good for {least} to {most}, or without --expires until it is revoked")
    return seconds


TokenName = Annotated[str, typer.Argument(help="The token's name.", metavar="NAME")]


@app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="What it is for, such as grafana.", metavar="NAME", callback=_name)],
    scope: Annotated[
        list[Scope],
        typer.Option(
            help="read: information, telemetry, results. infer: classify. run: jobs and models. admin: everything. "
            "May be repeated."
        ),
    ],
    expires: Annotated[
        float | None,
        typer.Option(
            help="How long it is good, such as 12h or 7d; default: until revoked.", callback=_lifetime_s, **DURATION
        ),
    ] = None,
    save_as: Annotated[
        str | None, typer.Option(help="Keep it in the hosts file, as a host of this name; it is not printed then.")
    ] = None,
    host: Hosts = [],  # noqa: B006
    output: OutputForm = Output.TABLE,
) -> None:
    """Make a token and print it, this once: the agent keeps nothing but its SHA-256.

    The token alone goes to standard output. Several scopes add up; give no more than what it is for.

    Example: client tokens create grafana --scope read --expires 30d --host edge1
    """
    each, file = chosen_one(host), HostsFile()
    if save_as is not None:
        _require_free(file, save_as)
    with EdgeClient(each) as client:
        made = client.create_token(name, scope, expires)
    if save_as is not None:
        _save(file, each, made, save_as)
    _show_new(each, made, save_as, output)


@app.command("ls")
def list_tokens(
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """List tokens with what they may do and when they were last used; * marks the one in use here.

    Example: client tokens ls --host edge1
    """
    found: list[HostTokens] = []

    def fetch(each: Host) -> None:
        with EdgeClient(each) as client:
            found.append(HostTokens(each.name, client.tokens().tokens, client.access().token))

    try:
        on_each(chosen(host, all_hosts), fetch)
    finally:
        if found:
            emit(
                output,
                document=lambda: {"hosts": {each.host: _tokens_document(each) for each in found}},
                rows=lambda: [token_row(each.host, token, each.in_use) for each in found for token in each.tokens],
                view=lambda: tokens_view(found),
            )


@app.command("revoke")
def revoke_token(
    name: TokenName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, also where it is the one in use here.")] = False,
    host: Hosts = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Have a token open nothing any more, at once; browsers and streams that it opened end within seconds.

    Example: client tokens revoke grafana --host edge1
    """

    def revoke(each: Host) -> None:
        with EdgeClient(each) as client:
            own = client.access().token == name
            if own and not yes:
                _confirm(each, name)
            client.revoke_token(name)
        if not quiet:
            note(f"{each.name}: {name} is revoked")
        if own:
            note(f"{each.name}: this was the token that the hosts file has: `client hosts add` takes another")

    on_each(chosen(host), revoke)


@app.command("rotate")
def rotate_token(
    name: Annotated[
        str | None,
        typer.Option(help="The new token's name; default: the old one's with a number.", callback=_new_name),
    ] = None,
    host: Hosts = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Replace the token that the hosts file has by a new one that may do the same, and revoke the old one.

    The new one is tried and kept before the old one is revoked, so that whatever fails, one of them is good.

    Example: client tokens rotate --host edge1
    """
    file = HostsFile()

    def replace_one(each: Host) -> None:
        done = rotate(file, each, name, note)
        if (file.curl_folder / f"{each.name}.curl").exists():
            write_curl_config(file.named(each.name), file.curl_folder)
        if not quiet:
            note(f"{each.name}: {done.new.name} is in the hosts file, {done.old} is revoked")

    on_each(chosen(host), replace_one)


@app.command("audit")
def show_audit(
    limit: Annotated[int, typer.Option(min=1, max=AUDIT_PAGE_MAX, help="How many changes.")] = 50,
    before: Annotated[int | None, typer.Option(min=1, help="Only changes before this number.")] = None,
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show who changed what, newest first: jobs, models, tokens, sessions of browsers.

    Example: client tokens audit --host edge1 --limit 20
    """
    found: list[HostChanges] = []

    def fetch(each: Host) -> None:
        with EdgeClient(each) as client:
            page = client.audit(limit, before)
        found.append(HostChanges(each.name, page.entries, page.next))

    try:
        on_each(chosen(host, all_hosts), fetch)
    finally:
        if found:
            emit(
                output,
                document=lambda: {"hosts": {each.host: _audit_document(each) for each in found}},
                rows=lambda: [audit_row(each.host, entry) for each in found for entry in each.entries],
                view=lambda: audit_view(found),
            )
    for each in found:
        if each.next is not None:
            note(f"{each.host}: there is more: --before {each.next}")


def _require_free(file: HostsFile, name: str) -> None:
    if name in file.hosts():
        hint = f"choose another name, or `client hosts rm {name}` first"
        raise HostError(f"the hosts file has a {name} already", hint=hint)


def _save(file: HostsFile, host: Host, made: NewToken, name: str) -> None:
    """Keep a new token in the hosts file; one that cannot be kept is revoked again."""
    entry = replace(host, name=name, token=made.token, token_file=None, token_command=None, provider=None)
    try:
        file.put(entry)
    except BaseException:
        take_back(host, made, note)
        raise


def _show_new(host: Host, made: NewToken, saved_as: str | None, output: Output) -> None:
    hidden = {"token"} if saved_as is not None else set()
    document = {"host": host.name, "saved_as": saved_as, **made.model_dump(mode="json", exclude=hidden)}
    if output is not Output.TABLE:
        row = {key: value for key, value in document.items() if not isinstance(value, list)}
        emit(output, document=lambda: document, rows=lambda: [{**row, "scopes": " ".join(made.scopes)}], view=str)
    elif saved_as is None:
        say(made.token)
    words = f"{host.name}: {made.name} may {_listed(made.scopes)}{_for_how_long(made)}"
    note(words if saved_as is None else f"{words}; it is in the hosts file as {saved_as}")
    if saved_as is None and sys.stdout.isatty():
        note("it is shown this once: put it where it is needed, or `client tokens revoke` it")


def _listed(scopes: Sequence[Scope]) -> str:
    return ", ".join(scopes)


def _for_how_long(token: TokenInfo) -> str:
    if token.expires_at is None:
        return " until it is revoked"
    return f" for {format_duration((token.expires_at - token.created_at).total_seconds())}"


def _confirm(host: Host, name: str) -> None:
    """Ask before the branch is sawn off; raises UsageError where nobody can be asked, or somebody says no."""
    if not sys.stdin.isatty():
        raise UsageError(f"{name} is the token that is used here for {host.name}; --yes revokes it all the same")
    if not typer.confirm(f"{name} is the token that you use for {host.name} yourself. Revoke it?", err=True):
        raise EdgeError(f"{host.name}: {name} is left as it is", hint="`client tokens rotate` replaces it")


def _tokens_document(found: HostTokens) -> dict[str, Any]:
    return {"in_use": found.in_use, "tokens": [token.model_dump(mode="json") for token in found.tokens]}


def _audit_document(found: HostChanges) -> dict[str, Any]:
    return {"next": found.next, "entries": [entry.model_dump(mode="json") for entry in found.entries]}

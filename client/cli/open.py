"""`client open`: an agent's live page in the browser."""

import os
import sys
import webbrowser
from contextlib import ExitStack
from typing import Annotated

import typer

from client.cli.options import Hosts, chosen, on_each
from client.console import note, say
from client.errors import EdgeError
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from client.sdk.trust import fingerprint
from client.sdk.tunnel import Held, at_hand, held_at, holding
from contract.session import LIVE_PAGE


def open_page(
    name: Annotated[list[str] | None, typer.Argument(help="Hosts; default: the current one.")] = None,
    host: Hosts = [],  # noqa: B006
    print_only: Annotated[
        bool, typer.Option("--print", "--no-browser", help="Print the address and open no browser.")
    ] = False,
) -> None:
    """Open an agent's live page: the running job, sensors, results, and pictures to classify.

    The address carries a code that lets one browser in, once, within a few minutes; the token stays here. Where an
    agent is reached through a tunnel, the browser needs it too: this command holds it until Ctrl-C.

    Example: client open edge1
    """
    with ExitStack() as tunnels:
        held: list[Held] = []

        def open_one(host: Host) -> None:
            if at_hand(host) is None and not print_only:
                held.append(tunnels.enter_context(holding(host, 0, lambda text: note(f"{host.name}: {text}"))))
            _open(host, held_at(host), print_only=print_only)

        on_each(chosen([*(name or []), *host]), open_one)
        if held:
            note("the page goes through a tunnel that this command holds: Ctrl-C ends both")
            held[0].wait()


def _open(host: Host, base: str, *, print_only: bool) -> None:
    url, minutes = _address(host, base)
    if host.certificate:
        note(f"{host.name}: the browser will warn, as the agent made its certificate itself. Go on only if it shows")
        note(f"  SHA-256 {_spaced(fingerprint(host.certificate))}")
    if minutes:
        note(f"{host.name}: the address is good once, for {minutes:.0f} minutes")
    if print_only or not _has_browser():
        say(url)
    elif webbrowser.open(url):
        note(f"{host.name}: {base} is open in the browser")
    else:
        note(f"{host.name}: no browser could be started; open this address:")
        say(url)


def _address(host: Host, base: str) -> tuple[str, float | None]:
    """The page's address, with a code where one is needed, and for how many minutes it is good."""
    with EdgeClient(host) as client:
        access = client.access()
        if LIVE_PAGE not in access.features:
            hint = "bring the agent to this client's version"
            raise EdgeError(f"{host.name}: agent {access.agent_version} has no live page", hint=hint)
        if access.token is None:
            return f"{base}/", None
        code = client.new_session_code()
    return f"{base}/#{code.code}", code.expires_in_s / 60


def _spaced(digest: str) -> str:
    """A fingerprint as browsers show it, so that it can be compared."""
    digits = digest.removeprefix("sha256:").upper()
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def _has_browser() -> bool:
    """Whether a browser would have a screen; without one, text browsers would take the terminal over."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))

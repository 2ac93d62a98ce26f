"""A host's token replaced by a new one, in an order in which no step that fails locks anybody out.

The new token is made, tried and put into the hosts file before the old one is revoked; what fails before it is in the
hosts file takes it back.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from client.errors import EdgeError, HostError
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host, HostsFile
from contract.tokens import NewToken, TokenInfo

NAME_MAX = 60
"""Characters of a token's name that are kept where a number is added."""


@dataclass(frozen=True)
class Rotated:
    """What a rotation did."""

    old: str
    new: TokenInfo


def rotate(hosts: HostsFile, host: Host, name: str | None, report: Callable[[str], None]) -> Rotated:
    """Replace the token that the hosts file has for a host by one of the same scopes and lifetime; raises EdgeError.

    `name` is the new one's; None adds a number to the old one's. `report` is told what somebody has to look after.
    """
    _require_own(hosts, host)
    with EdgeClient(host) as client:
        old = _current(client)
        known = {each.name for each in client.tokens().tokens}
        lifetime_s = (old.expires_at - old.created_at).total_seconds() if old.expires_at else None
        made = client.create_token(name or successor(old.name, known), old.scopes, lifetime_s)
    fresh = replace(host, token=made.token)
    try:
        _try_out(fresh, made)
        _require_own(hosts, host)  # somebody may have changed it meanwhile
        hosts.put(replace(hosts.named(host.name), token=made.token))
    except BaseException:
        take_back(host, made, report)
        raise
    try:
        with EdgeClient(fresh) as client:
            client.revoke_token(old.name)
    except BaseException:
        report(f"the hosts file has the token {made.name!r} now, and {old.name!r} is still good")
        report(f"  to end it: client tokens revoke {old.name} --host {host.name}")
        raise
    return Rotated(old.name, made)


def successor(name: str, known: Collection[str]) -> str:
    """The next free name of a token that replaces another: `laptop` becomes `laptop.2`, `laptop.2` becomes `.3`."""
    match = re.fullmatch(r"(.+)\.(\d{1,3})", name)
    base, number = (match[1], int(match[2])) if match else (name, 1)
    while (found := f"{base[:NAME_MAX]}.{number + 1}") in known:
        number += 1
    return found


def _require_own(hosts: HostsFile, host: Host) -> None:
    """Raise HostError unless the token that is sent to a host is what the hosts file itself has for it."""
    known = hosts.hosts().get(host.name)
    if known is None:
        hint = f"`client hosts add NAME {host.url}` names it"
        raise HostError(f"{host.name} is not in the hosts file, where a new token could be kept", hint=hint)
    if known.token is not None and known.token != host.token:
        raise HostError(f"{host.name}: its token in the hosts file was changed meanwhile", hint="try again")
    if known.token is None or host.secret() != known.token:
        hint = f"`client tokens create NAME --host {host.name}` makes one to put there; then revoke the old one"
        raise HostError(f"{host.name}: its token comes from elsewhere than the hosts file", hint=hint)


def _current(client: EdgeClient) -> TokenInfo:
    name = client.access().token
    found = next((each for each in client.tokens().tokens if each.name == name), None)
    if found is None:
        raise EdgeError(f"{client.host.name}: the agent does not list the token {name!r} that it takes")
    return found


def _try_out(host: Host, made: NewToken) -> None:
    with EdgeClient(host) as client:
        found = client.access()
    if found.token != made.name:
        raise EdgeError(f"{host.name}: the agent takes the new token for {found.token!r}, not for {made.name!r}")


def take_back(host: Host, made: NewToken, report: Callable[[str], None]) -> None:
    """Revoke a token that was made and could not be kept."""
    try:
        with EdgeClient(host) as client:
            client.revoke_token(made.name)
        report(f"the new token {made.name!r} is revoked again: it could not be kept")
    except EdgeError:
        report(f"the token {made.name!r} was made and is kept nowhere; it could not be revoked either")
        report(f"  to end it: client tokens revoke {made.name} --host {host.name}")

"""Tunnels that one program holds for the others of the same user: which port of this machine leads to which agent.

A private file says the port, and a lock beside it, which the system takes back when a process ends, that its holder is
alive. Whoever connects still believes nothing but the agent's pinned certificate.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from platformdirs import user_state_path

from client.errors import EdgeError
from client.sdk.account import PORT_MAX
from client.sdk.hosts import Host, require_private, write_private

HELD_TIMEOUT_S = 1.0
"""Whoever looks whether a tunnel is held has the lock for a moment."""


def port_of(host: Host) -> int | None:
    """The port at which somebody holds a host's tunnel; None when nobody does."""
    path = _path(host)
    if not path.exists():
        return None
    from filelock import FileLock, Timeout

    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            return None  # its holder has ended without a word
    except Timeout:
        return _port(path)


@contextmanager
def announcing(host: Host) -> Iterator[Callable[[int], None]]:
    """Hold a host's tunnel alone until the context is left; gives what tells others the port. Raises EdgeError."""
    from filelock import FileLock, Timeout

    path = _path(host)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=HELD_TIMEOUT_S):
            try:
                yield lambda port: write_private(path, json.dumps({"host": host.name, "port": port}))
            finally:
                path.unlink(missing_ok=True)
    except Timeout:
        where = f" at port {port}" if (port := _port(path)) else ""
        hint = "that one serves this user's commands too; Ctrl-C there ends it"
        raise EdgeError(f"{host.name}: another command holds its tunnel already{where}", hint=hint) from None


def _port(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        require_private(path)
        said = json.loads(path.read_text())
        if isinstance(said, dict) and type(port := said.get("port")) is int and 0 < port <= PORT_MAX:
            return port
    return None


def _path(host: Host) -> Path:
    """A file for the way to an agent, whatever the host is called."""
    account = host.tunnel.document if host.tunnel else {}
    digest = hashlib.sha256(json.dumps([host.url, account], sort_keys=True).encode()).hexdigest()
    return user_state_path("edgerun") / "tunnels" / f"{digest[:32]}.json"

"""The Docker engine of a device as a socket on this machine: `docker` there carries each connection, as for its own
DOCKER_HOST=ssh://, with the account, key and host keys of this deployment."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from client.errors import Unreachable
from client.sdk.account import Account
from provisioning.providers.ssh.connection import Connection, connected

DIAL = "docker system dial-stdio"
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class RemoteEngine:
    """A device's engine, while it can be reached."""

    url: str
    """Where it answers here."""
    address: str
    """Where the device, and so its containers' ports, are reached."""


@contextlib.contextmanager
def remote_engine(account: Account) -> Iterator[RemoteEngine]:
    """Reach a device's engine as long as the context is open; raises Unreachable with what the device says."""
    offered: Future[tuple[Connection, Callable[[], object]]] = Future()
    with tempfile.TemporaryDirectory(prefix="edgerun-") as folder:  # which nobody else can enter
        socket = Path(folder) / "docker.sock"
        thread = Thread(target=_offer, args=(account, socket, offered), daemon=True)
        thread.start()
        connection, stop = offered.result()
        try:
            yield RemoteEngine(f"unix://{socket}", connection.address)
        except Unreachable as error:
            if connection.complaint:
                raise Unreachable(f"Docker on {connection.host} says: {connection.complaint}") from error
            raise
        finally:
            stop()
            thread.join(STOP_TIMEOUT_S)


def _offer(account: Account, socket: Path, offered: "Future[tuple[Connection, Callable[[], object]]]") -> None:
    try:
        with connected(account) as connection:
            connection.offer(socket, DIAL, lambda stop: offered.set_result((connection, stop)))
    except BaseException as error:
        if not offered.done():
            offered.set_exception(error)

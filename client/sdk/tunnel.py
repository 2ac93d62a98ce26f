"""How an agent is reached that listens on a device's loopback only: through a tunnel, which SSH encrypts besides TLS.

The tunnels of this process run in one thread with an event loop, one tunnel a host. Each is opened when it is needed,
kept until the process ends, and opened again when it broke. One that `provision tunnel` holds goes before them.
"""

import asyncio
import atexit
import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from client.errors import EdgeError, Unreachable
from client.sdk import held_tunnels
from client.sdk.account import Account
from client.sdk.hosts import Host

if TYPE_CHECKING:
    from client.sdk.ssh import Login

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
KEEPALIVE_S = 5.0
"""A tunnel that is silent for three times as long is taken for broken."""
REOPEN_WAITS_S = (1.0, 2.0, 5.0, 10.0)
CLOSE_TIMEOUT_S = 5.0


class Tunnel:
    """A port of this machine that leads to an agent. Everything but `port` is for the event loop it was opened in."""

    def __init__(self, host: Host, port: int = 0) -> None:
        """`port` is the one to listen on; 0 for any."""
        assert host.tunnel is not None
        self._name = host.name
        self._account: Account = host.tunnel
        self._far = urlsplit(host.url).port or 443
        self._wanted = self._near = port
        self._login: Login | None = None
        self._opening = asyncio.Lock()

    @property
    def port(self) -> int | None:
        """The port on this machine while the tunnel is whole."""
        login = self._login
        return self._near if login is not None and not login.ssh.is_closed() else None

    async def open(self) -> int:
        """Open it unless it is open, on the same port as before; returns the port. Raises EdgeError."""
        async with self._opening:
            if self.port is None:
                await self._drop()
                try:
                    await self._open()
                except EdgeError as error:
                    raise type(error)(f"{self._name}: {error}", hint=error.hint) from error
            return self._near

    async def _open(self) -> None:
        from client.sdk.ssh import log_in, require_forwarding

        login = await log_in(self._account, KEEPALIVE_S, prompt=True)
        try:
            await require_forwarding(login, LOOPBACK, self._far)
            try:
                listener = await login.ssh.forward_local_port(LOOPBACK, self._near, LOOPBACK, self._far)
            except OSError as error:
                if self._wanted:
                    hint = "choose another --port, or leave it out"
                    why = os.strerror(error.errno or 0)
                    raise EdgeError(f"port {self._wanted} of this machine cannot be had: {why}", hint=hint) from error
                listener = await login.ssh.forward_local_port(LOOPBACK, 0, LOOPBACK, self._far)
        except BaseException:
            await login.close()
            raise
        self._near, self._login = listener.get_port(), login

    async def broken(self) -> None:
        """Wait until it is not whole any more."""
        if self._login is not None:
            await self._login.ssh.wait_closed()

    async def close(self) -> None:
        """Close it; fine when it is not open."""
        async with self._opening:
            await self._drop()

    async def _drop(self) -> None:
        login, self._login = self._login, None
        if login is not None:
            await login.close()


@dataclass(frozen=True)
class Held:
    """A tunnel that is kept open, and opened again when it breaks."""

    url: str
    """Where the agent answers on this machine."""
    _mending: "Future[None]"

    def wait(self) -> None:
        """Wait until it cannot be opened again; raises EdgeError."""
        self._mending.result()


def reached_at(host: Host) -> str:
    """The URL at which an agent answers, from here; opens a tunnel where one is needed. Raises EdgeError."""
    return at_hand(host) or _url(_keeper().run(_keeper().tunnel(host).open()))


def at_hand(host: Host) -> str | None:
    """The same, None where a tunnel would have to be opened first."""
    if host.tunnel is None:
        return host.url
    port = (_keeper().tunnel(host).port if _kept else None) or held_tunnels.port_of(host)
    return _url(port) if port is not None else None


def held_at(host: Host) -> str:
    """The URL at which an agent answers other programs; raises EdgeError where nobody holds a tunnel."""
    if (url := at_hand(host)) is None:
        hint = f"hold one in another terminal: provision tunnel {host.name}"
        raise EdgeError(f"{host.name} is reached through an SSH tunnel, which nobody holds now", hint=hint)
    return url


@contextmanager
def holding(host: Host, port: int, report: Callable[[str], None]) -> Iterator[Held]:
    """Hold a host's tunnel for the other programs of this user, on a port or on any (0); raises EdgeError."""
    keeper = _keeper()
    tunnel = keeper.tunnel(host, port)
    with held_tunnels.announcing(host) as announce:
        near = keeper.run(tunnel.open())
        announce(near)
        mending = keeper.start(_mend(tunnel, report))
        try:
            yield Held(_url(near), mending)
        finally:
            mending.cancel()


async def _mend(tunnel: Tunnel, report: Callable[[str], None]) -> None:
    while True:
        await tunnel.broken()
        report("the tunnel broke; it is opened again")
        waits_s, said = iter(REOPEN_WAITS_S), ""
        while tunnel.port is None:
            try:
                await tunnel.open()
                report("the tunnel is open again")
            except Unreachable as error:
                if str(error) != said:
                    report(said := str(error))
                await asyncio.sleep(next(waits_s, REOPEN_WAITS_S[-1]))


def _url(port: int) -> str:
    return f"https://{LOOPBACK}:{port}"


class _Keeper:
    """The thread and the tunnels in it."""

    def __init__(self) -> None:
        self._tunnels: dict[tuple[Account | None, str], Tunnel] = {}
        self._begun: set[Future[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="edgerun-tunnels", daemon=True)
        self._thread.start()
        atexit.register(self._close)

    def tunnel(self, host: Host, port: int = 0) -> Tunnel:
        """The tunnel of a host, open or not."""
        return self._tunnels.setdefault((host.tunnel, host.url), Tunnel(host, port))

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begin something there."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._begun.add(future)
        future.add_done_callback(self._begun.discard)
        return future

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something there and wait for it."""
        future = self.start(work)
        try:
            return future.result()
        finally:
            future.cancel()  # when the waiting was interrupted

    def _close(self) -> None:
        """Close everything; a process that ends does not wait long for the other side."""
        for future in list(self._begun):
            future.cancel()
        closing = [self.start(tunnel.close()) for tunnel in self._tunnels.values()]
        with suppress(TimeoutError):
            for each in closing:
                each.result(CLOSE_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_TIMEOUT_S)


_kept: list[_Keeper] = []
_making = Lock()


def _keeper() -> _Keeper:
    with _making:
        if not _kept:
            _kept.append(_Keeper())
        return _kept[0]


os.register_at_fork(after_in_child=_kept.clear)  # threads stay behind

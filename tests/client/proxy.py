"""A real proxy between client and agent whose connections a test can cut."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from client.sdk.hosts import Host
from tests.agents import RunningAgent


class Proxy:
    """Copies bytes both ways until told to hang up."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.refused = 0
        """How many of the next connections are hung up before a byte passes."""
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was shut down
            while True:
                near, _ = self._listener.accept()
                if self.refused:
                    self.refused -= 1
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                self.connections += 1
                self._open += [near, far]
                self._start(self._copy, near, far)
                self._start(self._copy, far, near)

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        _hang_up(source, sink)

    def cut(self) -> None:
        """Break every connection; new ones are fine."""
        _hang_up(*self._open)

    def close(self) -> None:
        """Break everything and accept nothing more; a second time is fine."""
        _hang_up(self._listener, *self._open)
        for thread in self._threads:
            thread.join(5)
        for end in (self._listener, *self._open):
            end.close()


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(agent: RunningAgent) -> Iterator[tuple[Proxy, Host]]:
    """A proxy before an agent, and the host that is reached through it."""
    proxy = Proxy(agent.address)
    scheme = agent.url.partition(":")[0]
    try:
        yield proxy, replace(agent.host, name="proxied", url=f"{scheme}://127.0.0.1:{proxy.port}")
    finally:
        proxy.close()

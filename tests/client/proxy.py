"""A real proxy between client and agent whose connections a test can cut."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from client.hosts import Host
from tests.agents import RunningAgent


class Proxy:
    """Copies bytes both ways until told to hang up."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self.connections += 1
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Break every connection; new ones are fine."""
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        """Break everything and accept nothing more."""
        self._listener.close()
        self.cut()


@contextmanager
def proxied(agent: RunningAgent) -> Iterator[tuple[Proxy, Host]]:
    """A proxy before an agent, and the host that is reached through it."""
    proxy = Proxy(agent.address)
    scheme = agent.url.partition(":")[0]
    try:
        yield proxy, replace(agent.host, name="proxied", url=f"{scheme}://127.0.0.1:{proxy.port}")
    finally:
        proxy.close()

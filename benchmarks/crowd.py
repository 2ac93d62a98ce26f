"""Connections of strangers, all of one kind, which come back when they are ended; a process of their own.

Started by benchmarks.hostile as `python -m benchmarks.crowd HOST PORT KIND COUNT plain|TLS`; ends with its input.
"""

import contextlib
import selectors
import socket
import ssl
import sys
import time

SENT = {
    "idle": b"",
    "slow": b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ",
    "never reading": b"GET /static/echarts.js HTTP/1.1\r\nHost: h\r\n\r\n" * 10,
}
LOOK_INTERVAL_S = 0.02
CONNECTIONS_A_LOOK = 2
"""New ones each time: 100 a second, the first time and when they come back."""


class Crowd:
    """So many connections, as far as the other side lets them be."""

    def __init__(self, address: tuple[str, int], kind: str, count: int, *, tls: bool) -> None:
        self._address = address
        self._sent = SENT[kind]
        self._slow = kind == "slow"
        self._count = count
        # Before any handshake an idle one is the cheapest; the others must shake hands to send anything.
        self._context = ssl._create_unverified_context() if tls and self._sent else None
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Keep them open until there is nothing more to read from standard input."""
        stop = selectors.DefaultSelector()
        stop.register(sys.stdin, selectors.EVENT_READ)
        while not stop.select(0):
            began = time.monotonic()
            for key, _ in self._selector.select(0):
                self._look(key.fileobj)  # type: ignore[arg-type]
            for connection in [key.fileobj for key in self._selector.get_map().values()] if self._slow else []:
                with contextlib.suppress(OSError):
                    connection.send(b"a")  # type: ignore[union-attr]
            for _ in range(min(CONNECTIONS_A_LOOK, self._count - len(self._selector.get_map()))):
                self._connect()
            time.sleep(max(0.0, LOOK_INTERVAL_S - (time.monotonic() - began)))

    def _connect(self) -> None:
        with contextlib.suppress(OSError):
            connection = socket.create_connection(self._address, timeout=2)
            if self._context is not None:
                connection = self._context.wrap_socket(connection)
            connection.send(self._sent)
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ)

    def _look(self, connection: socket.socket) -> None:
        """Whether it was ended; of what came, nothing is read but the first byte."""
        try:
            gone = not connection.recv(1, 0 if isinstance(connection, ssl.SSLSocket) else socket.MSG_PEEK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            gone = True
        if gone:
            self._selector.unregister(connection)
            connection.close()


if __name__ == "__main__":
    host, port, kind, count, protection = sys.argv[1:]
    Crowd((host, int(port)), kind, int(count), tls=protection == "TLS").run()

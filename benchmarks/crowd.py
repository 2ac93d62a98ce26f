"""Connections of strangers, all of one kind, which come back when they are ended; a process of their own.

Started by benchmarks.hostile as `python -m benchmarks.crowd HOST PORT KIND COUNT RETURNS plain|TLS`: it says "up" when
all have come once, and ends with its input. RETURNS is how many of those that were ended come back in a second.
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
SEND_INTERVAL_S = 1.0
"""Between two bytes of a slow one."""
ARRIVALS_A_SECOND = 200
"""Until all have come once."""


class Crowd:
    """So many connections, as far as the other side lets them be."""

    def __init__(self, address: tuple[str, int], kind: str, count: int, returns: int, *, tls: bool) -> None:
        self._address = address
        self._sent = SENT[kind]
        self._slow = kind == "slow"
        self._count = count
        self._returns = returns
        # Before any handshake an idle one is the cheapest; the others must shake hands to send anything.
        self._context = ssl._create_unverified_context() if tls and self._sent else None
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Keep them open until there is nothing more to read from standard input."""
        stop = selectors.DefaultSelector()
        stop.register(sys.stdin, selectors.EVENT_READ)
        came, allowance, sent, before = 0, 0.0, 0.0, time.monotonic()
        while not stop.select(LOOK_INTERVAL_S):
            now = time.monotonic()
            up = came >= self._count
            allowance = min(
                allowance + (now - before) * (self._returns if up else ARRIVALS_A_SECOND), ARRIVALS_A_SECOND
            )
            before = now
            for key, _ in self._selector.select(0):
                self._look(key.fileobj)  # type: ignore[arg-type]
            if self._slow and now - sent > SEND_INTERVAL_S:
                sent = now
                self._send_a_byte()
            arriving = min(int(allowance), self._count - len(self._selector.get_map()))
            for _ in range(arriving):
                self._connect()
            allowance -= arriving
            came += arriving
            if not up and came >= self._count:
                print("up", flush=True)

    def _send_a_byte(self) -> None:
        for connection in [key.fileobj for key in self._selector.get_map().values()]:
            with contextlib.suppress(OSError):
                connection.send(b"a")  # type: ignore[union-attr]

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
    host, port, kind, count, returns, protection = sys.argv[1:]
    Crowd((host, int(port)), kind, int(count), int(returns), tls=protection == "TLS").run()

"""uvicorn's HTTP protocol with what it leaves open: sizes, deadlines, and bodies that nobody has asked for yet."""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable, Iterable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.access.callers import Caller
from server.http.accepting import AcceptedConnection, Acceptor
from server.http.exchange import EXCHANGE, HEAD_BYTES, Exchange, Outgoing, Reader

HEADER_MAX_BYTES = 32 * 1024
HEADER_TIMEOUT_S = 10.0
"""From the first byte of a request to the end of its headers, once the connection has authenticated."""
STRANGER_TIMEOUT_S = 5.0
"""The same before; also how long a connection is kept for a next request then."""
KEEP_ALIVE_S = 65.0
"""Longer than the pause between two calls of a polling client, which would else meet a closing connection."""
WRITE_TIMEOUT_S = 10.0
"""Longest time in which the other side may take nothing of what it was sent."""
BODY_WINDOW_S = 5.0
BODY_BYTES_PER_S_MIN = 1024
"""Bytes a second that a body must bring within each window, once somebody reads it."""
STRANGER_BODY_MAX_BYTES = 64 * 1024
PIPELINED_MAX = 32
"""Requests that one connection may have sent ahead."""
LINGER_S = 2.0
LINGER_MAX_BYTES = 16 << 20
"""Of a body nobody wants any more (a refused upload), so much is still taken, and for so long: its sender reads why."""
OVER_S = 2.0
"""What a revoked token had begun may go on for so long, so that what is nearly done is answered."""
WATCH_INTERVAL_S = 1.0
_NO_WINDOW = (0.0, 0)


def _plain(status: str, text: str) -> bytes:
    fields = (f"HTTP/1.1 {status}", "content-type: text/plain", f"content-length: {len(text)}", "connection: close")
    return "\r\n".join([*fields, "", text]).encode()


_HEADER_TOO_LARGE = _plain("431 Request Header Fields Too Large", "the request header is too large")
_NOT_HTTP = _plain("400 Bad Request", "this is not a valid HTTP request")
_TOO_SLOW = _plain("408 Request Timeout", "the body came in too slowly")
_TOO_LARGE = _plain("413 Content Too Large", "a body of this size needs a token")


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Reading stops at the end of each request's headers until somebody wants the body.

    Deadlines are plain attributes that `watch_connections` looks at once a second: a timer for each request would
    cost more than the request's own bookkeeping. They end in an abort: closing in order would hold the connection for
    as long as the other side likes.
    """

    _deadline: float | None
    """When the connection is ended, on the event loop's clock; None while nothing is expected of the other side."""

    def __init__(self, acceptor: Acceptor, connection: AcceptedConnection, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.connection = connection
        self.reader = Reader(self)
        self._acceptor = acceptor
        self._received_bytes = 0
        self._header_bytes = 0
        self._in_header = True
        self._in_body = False
        self._lingering = False
        self._refusal: bytes | None = None
        self._unsent: tuple[int, int] | None = None
        self._unsent_since = 0.0
        self._window = _NO_WINDOW
        self._caller: Caller | None = None
        self.idle_since: float | None = None
        """Since when it waits for a next request, None while one is under way."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.connection.transport = transport
        if self.scheme == "https":
            transport.set_read_buffer_limits(HEAD_BYTES)  # type: ignore[attr-defined]
        self._deadline = self.loop.time() + STRANGER_TIMEOUT_S
        self.idle_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._acceptor.lost(self.connection)
        super().connection_lost(exc)

    def data_received(self, data: bytes | memoryview) -> None:
        self._received_bytes += len(data)
        if self._lingering:
            if self._received_bytes > LINGER_MAX_BYTES:
                self.transport.abort()
            return
        was_in_header = self._in_header
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # nothing here speaks another protocol: it is answered as a plain request
        except httptools.HttpParserError:
            self._refuse(_HEADER_TOO_LARGE if self._header_bytes > HEADER_MAX_BYTES else _NOT_HTTP)
            return
        if was_in_header and self._in_header:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_MAX_BYTES:
                self._refuse(_HEADER_TOO_LARGE)

    def on_message_begin(self) -> None:
        if self._lingering:
            raise ValueError("nothing more is wanted")  # becomes an HttpParserError, as below
        super().on_message_begin()
        self._in_header, self._header_bytes, self.idle_since = True, 0, None
        self._deadline = self.loop.time() + (HEADER_TIMEOUT_S if self.connection.authenticated else STRANGER_TIMEOUT_S)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEADER_MAX_BYTES:
            self._header_bytes = size
            raise ValueError("header too large")
        if len(self.pipeline) >= PIPELINED_MAX:
            raise ValueError("too many requests at once")
        self._in_header, self._in_body, self._deadline = False, True, None
        self._received_bytes, self._window = 0, _NO_WINDOW
        super().on_headers_complete()
        self.flow.pause_reading()
        cycle = self.cycle
        cycle.transport = Outgoing(self, cycle)  # type: ignore[assignment]
        self.scope["extensions"] = {EXCHANGE: Exchange(self, cycle)}  # type: ignore[dict-item]

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self._received_bytes > STRANGER_BODY_MAX_BYTES and not self.connection.authenticated:
            self._refuse(_TOO_LARGE)

    def on_message_complete(self) -> None:
        if self._lingering:
            return
        self._in_body, self._deadline = False, None
        super().on_message_complete()
        if not self.pipeline:
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._lingering:
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            if not cycle.more_body and self._refusal is None:
                self.flow.resume_reading()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._refuse(self._refusal)
        else:
            now = self.loop.time()
            self.idle_since = now
            self._deadline = now + (KEEP_ALIVE_S if self.connection.authenticated else STRANGER_TIMEOUT_S)
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """The agent stops: end the connection, at once where no request is under way."""
        if self.cycle is None or self.cycle.response_complete:
            self._end_when_sent()
        else:
            self.cycle.keep_alive = False

    def check(self, now: float) -> None:
        """End the connection when the other side is too slow; to be called about once a second."""
        if self.transport.is_closing():
            return
        if self._writes_nothing(now) or (self._caller is not None and self._caller.is_over(OVER_S)):
            self.transport.abort()
        elif self._in_body and not self._lingering:
            if self.flow.read_paused:  # it waits for us
                self._window = now, self._received_bytes
            elif self._body_is_slow(now):
                self.cut_off()
        elif self._deadline is not None and now >= self._deadline and self._unsent is None:
            self.transport.abort()

    def _writes_nothing(self, now: float) -> bool:
        """Whether the other side has taken nothing for too long. Only looked at while there is much to send."""
        idle = self._deadline is not None and now >= self._deadline
        if not (self.flow.write_paused or idle or self._unsent is not None):
            return False
        unsent = self.transport.get_write_buffer_size(), _unsent_bytes(self.connection.socket)
        if not any(unsent):
            self._unsent = None
        elif unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        return self._unsent is not None and now - self._unsent_since >= WRITE_TIMEOUT_S

    def _body_is_slow(self, now: float) -> bool:
        if self._window is _NO_WINDOW:
            self._window = now, self._received_bytes
        began, received = self._window
        if now - began >= BODY_WINDOW_S:
            self._window = now, self._received_bytes
            return self._received_bytes - received < BODY_BYTES_PER_S_MIN * (now - began)
        return False

    def cut_off(self) -> None:
        """Refuse the rest of a body that comes too slowly."""
        self._refuse(_TOO_SLOW)

    def _refuse(self, answer: bytes) -> None:
        """End the connection with an answer of its own, behind those that are still owed."""
        if self.transport.is_closing() or self._lingering:
            return
        self.flow.pause_reading()
        cycle = self.cycle
        if self._in_body and cycle is not None and not cycle.response_started and not self.pipeline:
            self.transport.write(answer)
            cycle.disconnected = True
            cycle.message_event.set()
            self.reader.fail()
        elif cycle is not None and not cycle.response_complete:
            self._refusal = answer
            return
        else:
            self.transport.write(answer)
        self.linger()

    def linger(self) -> None:
        """Let the other side read the last answer, although it may still be sending."""
        self._lingering, self._received_bytes, self._in_body = True, 0, False
        self._deadline = self.loop.time() + LINGER_S
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _end_when_sent(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.close()
        else:
            self.transport.abort()

    def forget_parser(self) -> None:
        """A body went past the parser: the next bytes are the next request's."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.on_message_complete()

    def count_received(self, size: int) -> None:
        """Bytes came in past `data_received`."""
        self._received_bytes += size

    @property
    def takes_body(self) -> bool:
        """Whether what comes next is most likely a large piece of a body that somebody wants, or must get rid of."""
        return self._lingering or (self._in_body and not self.flow.read_paused)

    @property
    def received_bytes(self) -> int:
        """Bytes of the body that is on its way."""
        return self._received_bytes

    def authenticated(self, caller: Caller) -> None:
        """The request at hand brought a token, or what stands for one."""
        self._caller = caller
        if not self.connection.authenticated:
            self._acceptor.authenticated(self.connection)


def longest_idle(connections: Iterable[object]) -> list[AcceptedConnection]:
    """The authenticated connections without a request under way, those longest idle first."""
    idle = [
        (each.idle_since, each.connection)
        for each in connections
        if isinstance(each, GuardedProtocol) and each.idle_since is not None and each.connection.authenticated
    ]
    return [connection for _, connection in sorted(idle, key=lambda pair: pair[0])]


async def watch_connections(connections: Iterable[object], *others: Callable[[], None]) -> None:
    """Look at every connection's deadline, and do what else is due once a second, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(WATCH_INTERVAL_S)
        now = loop.time()
        for connection in list(connections):
            if isinstance(connection, GuardedProtocol):
                connection.check(now)
        for other in others:
            other()


def _unsent_bytes(connected: socket.socket) -> int:
    """What the kernel holds of what was sent: not yet on its way, or not yet confirmed."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(connected, termios.TIOCOUTQ, bytes(4)))[0])
    except OSError:
        return 0

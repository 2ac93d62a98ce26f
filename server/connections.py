"""Limits on connections that uvicorn leaves open: how many, how long a header, how slow a sender."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any

import httptools
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.intake import READ_INTO

HEADER_MAX_BYTES = 32 * 1024
HEADER_TIMEOUT_S = 10.0
"""From the first byte of a request, or from the connection's beginning, to the end of its headers."""
STALL_TIMEOUT_S = 30.0
"""Longest pause within a body."""
UNREAD_TIMEOUT_S = 10.0
WATCH_INTERVAL_S = 1.0
UNREAD_MAX_BYTES = 32 << 20
"""Of a body nobody wants any more (a refused upload), so much is still taken, and for so long: its sender reads why."""

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n"
    b"content-length: 38\r\nconnection: close\r\n\r\ntoo many connections, try again later\n"
)
_HEADER_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain\r\n"
    b"content-length: 31\r\nconnection: close\r\n\r\nthe request header is too large"
)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a limit on connections, header size, header time and stalls.

    Deadlines are plain attributes that `watch_connections` looks at once a second: a timer for each request would
    cost more than the request's own bookkeeping.
    """

    max_connections = 64
    """Set by a subclass; see `guarded_protocol`."""

    _deadline: float | None = None
    """When the connection is closed, on the event loop's clock; None while nothing is expected of the sender."""
    _received_bytes = 0
    _received_when_watched = 0
    _header_bytes = 0
    _unread_bytes = 0
    _in_header = True
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.write(_BUSY)
            transport.close()
            return
        self._deadline = self.loop.time() + HEADER_TIMEOUT_S

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._received_bytes += len(data)
        if self._in_header:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_MAX_BYTES and not self.transport.is_closing():
                self.transport.write(_HEADER_TOO_LARGE)
                self.transport.close()
        elif self._unwanted:
            self._unread_bytes += len(data)
            if self._unread_bytes > UNREAD_MAX_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_header, self._header_bytes, self._unread_bytes = True, 0, 0
        self._deadline = self.loop.time() + HEADER_TIMEOUT_S

    def on_headers_complete(self) -> None:
        self._in_header, self._in_body = False, True
        self._deadline = self.loop.time() + STALL_TIMEOUT_S
        super().on_headers_complete()
        # Bound to its own request: with pipelining, `self.cycle` may be a later one when this one's turn comes.
        self.scope["extensions"] = {READ_INTO: partial(self._read_into, self.cycle)}  # type: ignore[dict-item]

    def on_message_complete(self) -> None:
        self._in_body, self._deadline = False, None
        super().on_message_complete()
        if self.cycle.response_complete:  # uvicorn leaves this out for requests that were answered early
            self.cycle.more_body = False

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._unwanted:
            self._deadline = self.loop.time() + UNREAD_TIMEOUT_S

    def check_deadline(self, now: float) -> None:
        """Close the connection when its sender is too slow."""
        if self._deadline is None or now < self._deadline or self.transport.is_closing():
            return
        moving = self._received_bytes > self._received_when_watched or self.flow.read_paused
        if self._in_body and moving and not self._unwanted:
            self._received_when_watched = self._received_bytes
            self._deadline = now + STALL_TIMEOUT_S
        else:
            self.transport.close()

    async def _read_into(self, cycle: RequestResponseCycle, target: memoryview) -> None:
        """Fill a buffer of exactly the body's size; raises ClientDisconnect when the sender hangs up before.

        What the parser has seen is copied; the rest comes off the network straight into the buffer, where the parser
        and the queue in front of the application would each copy it once more.
        """
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        seen = len(cycle.body)
        target[:seen] = cycle.body
        cycle.body = bytearray()
        if not cycle.more_body:
            return
        receiver = _BodyReceiver(self, target[seen:])
        self.transport.set_protocol(receiver)
        self.flow.resume_reading()
        try:
            await receiver.filled
        except BaseException:
            self.transport.abort()  # nothing may write into the buffer any more
            raise

    def body_received(self) -> None:
        """A `_BodyReceiver` is done: the next bytes are the next request's."""
        self.parser = httptools.HttpRequestParser(self)
        self.transport.set_protocol(self)
        self.on_message_complete()

    def count_received(self, size: int) -> None:
        """Bytes came in past `data_received`."""
        self._received_bytes += size

    @property
    def _unwanted(self) -> bool:
        """Whether bytes still come in of a request that was answered already."""
        return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body


class _BodyReceiver(asyncio.BufferedProtocol):
    """Takes the rest of a body for a connection, whose protocol it stands in for meanwhile."""

    def __init__(self, connection: GuardedProtocol, target: memoryview) -> None:
        self.filled: asyncio.Future[None] = connection.loop.create_future()
        self._connection = connection
        self._target = target

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._target

    def buffer_updated(self, nbytes: int) -> None:
        self._connection.count_received(nbytes)
        self._target = self._target[nbytes:]
        if not self._target:
            self._connection.body_received()
            self.filled.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)
        if not self.filled.done():
            self.filled.set_exception(ClientDisconnect())

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()


async def watch_connections(connections: Iterable[object]) -> None:
    """Look at every connection's deadline, once a second, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(WATCH_INTERVAL_S)
        now = loop.time()
        for connection in list(connections):
            if isinstance(connection, GuardedProtocol):
                connection.check_deadline(now)


def guarded_protocol(max_connections: int) -> type[GuardedProtocol]:
    """The protocol class for `uvicorn.Config(http=...)` with this agent's limit."""
    attributes: dict[str, Any] = {"max_connections": max_connections}
    return type("AgentProtocol", (GuardedProtocol,), attributes)

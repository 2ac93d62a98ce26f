"""Between a connection and the application: a request's body on its way in, its answer on its way out."""

import asyncio
import select
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from server.access.callers import Caller

if TYPE_CHECKING:
    from server.http.connections import GuardedProtocol

EXCHANGE = "edgerun.exchange"
"""ASGI extension: the `Exchange` of a request."""

HEAD_BYTES = 16 * 1024
BODY_BYTES = 256 * 1024
_HEAD, _BODY = memoryview(bytearray(HEAD_BYTES)), memoryview(bytearray(BODY_BYTES))
"""Buffers that all connections read into, one after the other: what arrives is used before the next one reads. The
first is small, so that little of a body that has to wait comes into this process with its headers."""
WIRE_BYTES = 64 * 1024
_WIRE_HEAD, _WIRE_BODY = memoryview(bytearray(HEAD_BYTES)), memoryview(bytearray(WIRE_BYTES))
"""The same for what is still encrypted. OpenSSL copies it into a buffer of each connection's own, which stays as large
as the largest of these pieces for as long as the connection lives."""


class Exchange:
    """A request and its connection, for the parts of the application that decide about bodies.

    Bound to its own request: with pipelining, the connection's `cycle` may be a later one when this one's turn comes.
    """

    __slots__ = ("_connection", "_cycle")

    def __init__(self, connection: "GuardedProtocol", cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle

    def authenticated(self, caller: Caller) -> None:
        """The request may do more than a stranger's: its connection is kept longer, and makes room for nobody.

        The connection ends when its caller does.
        """
        self._connection.authenticated(caller)

    @property
    def unread(self) -> bool:
        """Whether some of the body has not been read."""
        return self._cycle.more_body

    @property
    def gone(self) -> bool:
        """Whether the other side has hung up, which nobody notices while reading is paused."""
        if self._cycle.disconnected or self._connection.transport.is_closing():
            return True
        poll = select.poll()
        poll.register(self._connection.connection.socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    @property
    def received_bytes(self) -> int:
        """Bytes of the body that have come in."""
        return self._connection.received_bytes

    def cut_off(self) -> None:
        """Refuse the rest of the body: it comes too slowly."""
        self._connection.cut_off()

    async def read_into(self, target: memoryview, hold: Callable[[int], None]) -> None:
        """Fill a buffer of exactly the body's size; raises ClientDisconnect when the sender hangs up before.

        What the parser has seen is copied; the rest comes off the network straight into the buffer, where the parser
        and the queue in front of the application would each copy it once more. `hold` is told of bytes as they come,
        and may raise.
        """
        cycle, connection = self._cycle, self._connection
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        seen = len(cycle.body)
        hold(seen)
        target[:seen] = cycle.body
        cycle.body = bytearray()
        if cycle.disconnected:
            raise ClientDisconnect
        if cycle.more_body:
            await connection.reader.fill(target[seen:], hold)


class Reader(asyncio.BufferedProtocol):
    """What the transport talks to: bytes for the parser, or a body straight into the memory of its picture."""

    def __init__(self, connection: "GuardedProtocol") -> None:
        self._connection = connection
        self._target: memoryview | None = None
        self._filled: asyncio.Future[None] | None = None
        self._buffer = _HEAD

    @property
    def takes_body(self) -> bool:
        """Whether somebody waits for what comes next, most likely a large piece of a body."""
        return self._target is not None or self._connection.takes_body

    async def fill(self, target: memoryview, hold: Callable[[int], None]) -> None:
        """Receive exactly as many bytes as the target has."""
        self._target, self._hold = target, hold
        self._filled = self._connection.loop.create_future()
        self._connection.flow.resume_reading()
        try:
            await self._filled
        except asyncio.CancelledError:
            self._connection.transport.abort()
            raise
        finally:
            self._target = self._filled = None  # nothing may write into the memory any more

    def fail(self, error: Exception | None = None) -> None:
        """Nothing more of the body is wanted."""
        self._target = None
        if self._filled is not None and not self._filled.done():
            self._filled.set_exception(error or ClientDisconnect())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.connection_made(transport)  # type: ignore[arg-type]

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._target is not None:
            return self._target
        self._buffer = _BODY if self.takes_body else _HEAD
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._target is None:
            self._connection.data_received(self._buffer[:nbytes])
            return
        self._connection.count_received(nbytes)
        self._target = self._target[nbytes:]
        try:
            self._hold(nbytes)
        except Exception as error:
            self._connection.flow.pause_reading()
            self.fail(error)
            return
        if not self._target:
            self._target = None
            self._connection.forget_parser()
            if self._filled is not None and not self._filled.done():
                self._filled.set_result(None)

    def eof_received(self) -> None:
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)
        self.fail()

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()


class Tls(SSLProtocol):
    """TLS that reads no further ahead than its connection wants.

    uvloop's own takes a quarter of a megabyte for each connection, and as much again of a body that has to wait.
    """

    max_size = 0  # of a buffer of its own, which it does not need

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: Reader,
        context: ssl.SSLContext,
        done: "asyncio.Future[None]",
        *,
        handshake_timeout_s: int,
        goodbye_timeout_s: int,
    ) -> None:
        super().__init__(
            loop,
            reader,
            context,
            done,
            server_side=True,
            ssl_handshake_timeout=handshake_timeout_s,
            ssl_shutdown_timeout=goodbye_timeout_s,
        )
        self._reader = reader

    def get_buffer(self, n: int) -> memoryview:
        self._ssl_buffer_view = _WIRE_BODY if self._reader.takes_body else _WIRE_HEAD
        return self._ssl_buffer_view


class Outgoing:
    """The transport as a request's answer sees it: closing with a body unread must not destroy the answer.

    The head of an answer goes out together with what follows it at once: a write of its own would wake the other side
    for nothing.
    """

    __slots__ = ("_began", "_connection", "_cycle", "_head", "is_closing")

    def __init__(self, connection: "GuardedProtocol", cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self._began = False
        self._head: bytes | None = None
        self.is_closing = connection.transport.is_closing

    def write(self, data: bytes) -> None:
        """Send bytes; the first of an answer by the end of this round of the event loop."""
        head, self._head = self._head, None
        if head is not None:
            self._connection.transport.writelines((head, data))
        elif self._began:
            self._connection.transport.write(data)
        else:
            self._began, self._head = True, data
            self._connection.loop.call_soon(self._send_head)

    def close(self) -> None:
        """What uvicorn calls when the answer is complete and the connection is not kept."""
        self._send_head()
        if self._cycle.more_body:
            self._connection.linger()
        else:
            self._connection.transport.close()

    def _send_head(self) -> None:
        head, self._head = self._head, None
        if head is not None and not self.is_closing():
            self._connection.transport.write(head)


def exchange_of(scope: Scope) -> Exchange | None:
    """The exchange of a request, None where another server runs the application."""
    found: Exchange | None = scope.get("extensions", {}).get(EXCHANGE)
    return found

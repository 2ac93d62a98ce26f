"""Limits on connections that uvicorn leaves open: how many, how long a header, how slow a sender."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_MAX_BYTES = 32 * 1024
HEADER_TIMEOUT_S = 10.0
"""From the first byte of a request, or from the connection's beginning, to the end of its headers."""
STALL_TIMEOUT_S = 30.0
"""Longest pause within a body."""
UNREAD_TIMEOUT_S = 10.0
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
    """uvicorn's HTTP protocol with a limit on connections, header size, header time and stalls."""

    max_connections = 64
    """Set by a subclass; see `guarded_protocol`."""

    _timer: asyncio.TimerHandle | None = None
    _received_bytes = 0
    _header_bytes = 0
    _unread_bytes = 0
    _in_header = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.write(_BUSY)
            transport.close()
            return
        self._close_in(HEADER_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._keep_open()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._received_bytes += len(data)
        if self.transport.is_closing():
            return
        if self._in_header:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_MAX_BYTES:
                self.transport.write(_HEADER_TOO_LARGE)
                self.transport.close()
        elif self._unwanted:
            self._unread_bytes += len(data)
            if self._unread_bytes > UNREAD_MAX_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_header, self._header_bytes, self._unread_bytes = True, 0, 0
        self._close_in(HEADER_TIMEOUT_S)

    def on_headers_complete(self) -> None:
        self._in_header = False
        self._watch_for_stalls()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle.body or self.cycle.response_complete:
            super().on_body(body)
            return
        # uvicorn copies each piece into a bytearray and out of it again; the first piece can be handed on as it is.
        self.cycle.body = body  # type: ignore[assignment]
        self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._keep_open()
        super().on_message_complete()
        if self.cycle.response_complete:  # uvicorn leaves this out for requests that were answered early
            self.cycle.more_body = False

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._unwanted:
            self._close_in(UNREAD_TIMEOUT_S)

    @property
    def _unwanted(self) -> bool:
        """Whether bytes still come in of a request that was answered already."""
        return self.cycle.response_complete and self.cycle.more_body

    def _close_in(self, seconds: float) -> None:
        self._keep_open()
        self._timer = self.loop.call_later(seconds, self._close)

    def _keep_open(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch_for_stalls(self) -> None:
        self._keep_open()
        self._timer = self.loop.call_later(STALL_TIMEOUT_S, self._check_progress, self._received_bytes)

    def _check_progress(self, received_bytes: int) -> None:
        if self._received_bytes > received_bytes or self.flow.read_paused:
            self._watch_for_stalls()
        else:
            self._close()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def guarded_protocol(max_connections: int) -> type[GuardedProtocol]:
    """The protocol class for `uvicorn.Config(http=...)` with this agent's limit."""
    attributes: dict[str, Any] = {"max_connections": max_connections}
    return type("AgentProtocol", (GuardedProtocol,), attributes)

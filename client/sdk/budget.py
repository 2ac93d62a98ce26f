"""What one call may cost: time, whatever drips in meanwhile, and bytes, whatever was announced.

httpx knows only how long a single read or write may take. So each read and write asks the budget of its call, which
travels in the place of httpx's timeouts.
"""

import os
import time
from typing import Any

import httpcore
import httpx
from httpcore import AsyncNetworkBackend, AsyncNetworkStream, NetworkBackend, NetworkStream

from client.errors import HostError, Malformed

TIMEOUT_VARIABLE = "EDGERUN_TIMEOUT"
CONNECT_TIMEOUT_S = 10.0
RATE_MIN_BYTES_S = 16 * 1024
"""Slower than this a transfer uses up its time."""
WRITE_BYTES = 64 * 1024
"""Sent at once; then time is looked at again."""


def given_timeout_s() -> float | None:
    """Seconds that the user gives every answer (`EDGERUN_TIMEOUT`); None without. Raises HostError."""
    text = os.environ.get(TIMEOUT_VARIABLE)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise HostError(f"{TIMEOUT_VARIABLE} is seconds, such as 60, not {text!r}")
    return seconds


class Budget(float):
    """Time and bytes of one call; its value is the seconds it begins with.

    Every byte moved gives time back, at the least rate, but never more than it began with: so a transfer lasts as long
    as it flows, and one that drips ends.
    """

    def __new__(cls, seconds: float, bytes_max: int | None = None) -> "Budget":
        """`bytes_max` bounds what is received."""
        return super().__new__(cls, seconds)

    def __init__(self, seconds: float, bytes_max: int | None = None) -> None:
        self.flowing = True
        """Whether bytes alone give time back."""
        self._bytes_max = self._left_bytes = bytes_max
        self._ends_s = time.monotonic() + seconds

    def begin(self) -> None:
        """Let the time begin now, and not when it was given."""
        self._ends_s = time.monotonic() + self

    @property
    def left_s(self) -> float:
        """Seconds left, below 0 when they are over."""
        return self._ends_s - time.monotonic()

    def renew(self) -> None:
        """Begin anew: something came that counts. Where bytes give time back, only they do."""
        if not self.flowing:
            self.begin()

    def unbind(self) -> None:
        """Any number of bytes may come from now on; whoever takes them counts."""
        self._bytes_max = self._left_bytes = None

    def received(self, count: int) -> None:
        """Take bytes that came; raises Malformed for too many."""
        if self._left_bytes is not None:
            self._left_bytes -= count
            if self._left_bytes < 0:
                raise Malformed(f"it is larger than {self._bytes_max} bytes")
        self.moved(count)

    def moved(self, count: int) -> None:
        """Give back the time that these bytes may have taken."""
        if self.flowing:
            self._ends_s = min(self._ends_s + count / RATE_MIN_BYTES_S, time.monotonic() + self)

    def timeouts(self) -> dict[str, float]:
        """The timeouts of a request, as httpx's transports take them."""
        return {"connect": min(self, CONNECT_TIMEOUT_S), "read": self, "write": self, "pool": self}


def _reading(timeout: float | None) -> float | None:
    if isinstance(timeout, Budget):
        if (left_s := timeout.left_s) <= 0:
            raise httpcore.ReadTimeout(f"it was not whole after {timeout:g} s")
        return left_s
    return timeout


def _writing(timeout: float | None) -> float | None:
    if isinstance(timeout, Budget):
        if (left_s := timeout.left_s) <= 0:
            raise httpcore.WriteTimeout(f"the request was not taken within {timeout:g} s")
        return left_s
    return timeout


class _Stream(NetworkStream):
    def __init__(self, stream: NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, _reading(timeout))
        if isinstance(timeout, Budget):
            timeout.received(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITE_BYTES):
            part = buffer[start : start + WRITE_BYTES]
            self._stream.write(part, _writing(timeout))
            if isinstance(timeout, Budget):
                timeout.moved(len(part))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *arguments: Any, **named: Any) -> NetworkStream:
        return _Stream(self._stream.start_tls(*arguments, **named))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncStream(AsyncNetworkStream):
    def __init__(self, stream: AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, _reading(timeout))
        if isinstance(timeout, Budget):
            timeout.received(len(data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITE_BYTES):
            part = buffer[start : start + WRITE_BYTES]
            await self._stream.write(part, _writing(timeout))
            if isinstance(timeout, Budget):
                timeout.moved(len(part))

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *arguments: Any, **named: Any) -> AsyncNetworkStream:
        return _AsyncStream(await self._stream.start_tls(*arguments, **named))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(NetworkBackend):
    def __init__(self, backend: NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, *arguments: Any, **named: Any) -> NetworkStream:
        return _Stream(self._backend.connect_tcp(*arguments, **named))


class _AsyncBackend(AsyncNetworkBackend):
    def __init__(self, backend: AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(self, *arguments: Any, **named: Any) -> AsyncNetworkStream:
        return _AsyncStream(await self._backend.connect_tcp(*arguments, **named))


def bind(http: httpx.Client) -> httpx.Client:
    """Let every connection of a client heed budgets, those through proxies too."""
    for transport in (http._transport, *http._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            pool: Any = transport._pool
            pool._network_backend = _Backend(pool._network_backend)
    return http


def bind_async(http: httpx.AsyncClient) -> httpx.AsyncClient:
    """Let every connection of a client for asyncio heed budgets."""
    for transport in (http._transport, *http._mounts.values()):
        if isinstance(transport, httpx.AsyncHTTPTransport):
            pool: Any = transport._pool
            pool._network_backend = _AsyncBackend(pool._network_backend)
    return http

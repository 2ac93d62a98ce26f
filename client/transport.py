"""What carries calls to one agent: a connection that is kept, retries where they are safe, streams that resume."""

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from client.calls import Call, FileBody
from client.exchange import Send, Stopwatch, Wait, conduct
from client.feeds import Feed, Patience
from client.hosts import Host, HostsFile
from client.trust import tls_context
from contract.paths import TLS_SERVER_NAME

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0
DEFAULT_RETRIES = 2


class _Base:
    """What both transports are made of."""

    def __init__(
        self, host: Host | str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S, retries: int = DEFAULT_RETRIES
    ) -> None:
        """`host` is an entry of the hosts file by name, a URL, or a `Host`; None takes the current host.

        Raises HostError, NotTrusted.
        """
        self.host = host if isinstance(host, Host) else HostsFile().choose([host] if host else [])[0]
        self._retries = retries
        self._heard_s: float | None = None
        """When the agent last answered, on the monotonic clock."""
        verify = tls_context(self.host) or False
        token = self.host.secret()
        self._settings: dict[str, Any] = {
            "base_url": self.host.url,
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "timeout": httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
            "verify": verify,
            "trust_env": not self.host.is_loopback,  # no proxy on the way to this machine itself
        }

    def _arguments(self, call: Call[Any]) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "params": call.params,
            "headers": dict(call.headers),
            "extensions": {"sni_hostname": TLS_SERVER_NAME},
        }
        if call.timeout_s is not None:
            arguments["timeout"] = httpx.Timeout(call.timeout_s, connect=min(call.timeout_s, CONNECT_TIMEOUT_S))
        return arguments


class Transport(_Base):
    """Carries calls and waits for their answers; keeps its connection until closed. Use as a context manager."""

    def __init__(
        self, host: Host | str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S, retries: int = DEFAULT_RETRIES
    ) -> None:
        super().__init__(host, timeout_s=timeout_s, retries=retries)
        self._http = httpx.Client(**self._settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _run_all(self, steps: Generator[Call[Any], Any, T]) -> T:
        try:
            call = next(steps)
            while True:
                call = steps.send(self._run(call))
        except StopIteration as end:
            result: T = end.value
            return result

    def _run(self, call: Call[T], watch: Stopwatch | None = None) -> T:
        watch = watch or Stopwatch()
        steps = conduct(self.host, call, self._retries)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Wait):
                    time.sleep(step.seconds)
                    step = steps.send(None)
                    continue
                try:
                    response = self._send(step, watch)
                except httpx.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    def _send(self, step: Send, watch: Stopwatch) -> httpx.Response:
        body = step.call.body.chunks() if isinstance(step.call.body, FileBody) else step.call.body
        arguments = self._arguments(step.call)
        arguments["extensions"]["trace"] = watch.trace
        watch.start()
        response = self._http.request(step.call.method, step.call.path, content=body, **arguments)
        self._heard_s = time.monotonic()
        return response

    def _follow(self, feed: Feed[T]) -> Iterator[T]:
        patience = Patience(self.host, self._heard_s)
        while True:
            call = feed.call()
            try:
                with self._http.stream(call.method, call.path, **self._arguments(call)) as response:
                    if response.status_code >= httpx.codes.BAD_REQUEST:
                        response.read()
                    if patience.opened(response):
                        for chunk in response.iter_bytes():
                            yield from feed.take(chunk)
                        if feed.ended():
                            return
                wait_s = patience.after_end()
            except httpx.TransportError as error:
                wait_s = patience.after_break(error)
            time.sleep(wait_s)


class AsyncTransport(_Base):
    """Carries calls for asyncio; keeps its connections until closed. Use as an async context manager."""

    def __init__(
        self, host: Host | str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S, retries: int = DEFAULT_RETRIES
    ) -> None:
        super().__init__(host, timeout_s=timeout_s, retries=retries)
        self._http = httpx.AsyncClient(**self._settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _run_all(self, steps: Generator[Call[Any], Any, T]) -> T:
        try:
            call = next(steps)
            while True:
                call = steps.send(await self._run(call))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _run(self, call: Call[T], watch: Stopwatch | None = None) -> T:
        watch = watch or Stopwatch()
        steps = conduct(self.host, call, self._retries)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)
                    step = steps.send(None)
                    continue
                try:
                    response = await self._send(step, watch)
                except httpx.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, step: Send, watch: Stopwatch) -> httpx.Response:
        async def trace(event: str, info: dict[str, Any]) -> None:
            watch.trace(event, info)

        body = _async_chunks(step.call.body) if isinstance(step.call.body, FileBody) else step.call.body
        arguments = self._arguments(step.call)
        arguments["extensions"]["trace"] = trace
        watch.start()
        response = await self._http.request(step.call.method, step.call.path, content=body, **arguments)
        self._heard_s = time.monotonic()
        return response

    async def _follow(self, feed: Feed[T]) -> AsyncIterator[T]:
        patience = Patience(self.host, self._heard_s)
        while True:
            call = feed.call()
            try:
                async with self._http.stream(call.method, call.path, **self._arguments(call)) as response:
                    if response.status_code >= httpx.codes.BAD_REQUEST:
                        await response.aread()
                    if patience.opened(response):
                        async for chunk in response.aiter_bytes():
                            for item in feed.take(chunk):
                                yield item
                        if feed.ended():
                            return
                wait_s = patience.after_end()
            except httpx.TransportError as error:
                wait_s = patience.after_break(error)
            await asyncio.sleep(wait_s)


async def _async_chunks(body: FileBody) -> AsyncIterator[bytes]:
    for chunk in body.chunks():
        yield chunk

"""What carries calls to one agent: a connection that is kept, retries where they are safe, streams that resume."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Self, TypeVar

import httpx

from client.errors import Malformed, Unreachable
from client.sdk.answers import HEAD_MAX_BYTES, Answer, check_head
from client.sdk.budget import Budget, bind, bind_async, given_timeout_s
from client.sdk.calls import Call, FileBody
from client.sdk.events import Feed
from client.sdk.hosts import Host, HostsFile
from client.sdk.patience import PATIENCE_S, SILENCE_MAX_S, Patience
from client.sdk.request import Attempts, Send, Stopwatch, Wait
from client.sdk.trust import tls_context
from client.sdk.tunnel import at_hand, reached_at
from contract.paths import TLS_SERVER_NAME

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 60.0
DEFAULT_RETRIES = 2
BROKEN = (httpx.TransportError, OSError)
"""What httpx raises when a connection fails, and what escapes it."""


class _Base(ABC):
    """What both transports are made of."""

    def __init__(
        self, host: Host | str | None = None, *, timeout_s: float | None = None, retries: int = DEFAULT_RETRIES
    ) -> None:
        """`host` is an entry of the hosts file by name, a URL, or a `Host`; None takes the current host.

        `timeout_s` is the time for a whole answer; one that flows may take longer. `EDGERUN_TIMEOUT` stands in for
        every time that is not given, and shortens those that are. Raises HostError, NotTrusted.
        """
        self.host = host if isinstance(host, Host) else HostsFile().choose([host] if host else [])[0]
        self._retries = retries
        self._heard_s: float | None = None
        """When the agent last answered, on the monotonic clock."""
        self._given_s = given_timeout_s()
        self._timeout_s = min(filter(None, (timeout_s, self._given_s)), default=DEFAULT_TIMEOUT_S)
        verify = tls_context(self.host) or False
        token = self.host.secret()
        settings: dict[str, Any] = {
            "headers": {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {token}"} if token else {})},
            "verify": verify,
            "trust_env": not (self.host.is_loopback or self.host.tunnel),  # no proxy on the way to this machine itself
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # agents need none, so none is kept
        }
        self._open(settings)

    @abstractmethod
    def _open(self, settings: dict[str, Any]) -> None:
        """Make the HTTP client, of httpx's settings."""

    def _arguments(self, base: str, call: Call[Any], budget: Budget) -> dict[str, Any]:
        """What `build_request` takes, but for the body; `base` is where the agent is reached."""
        budget.begin()
        return {
            "method": call.method,
            "url": base.rstrip("/") + call.path,
            "params": call.params,
            "headers": dict(call.headers),
            "extensions": {"sni_hostname": TLS_SERVER_NAME, "timeout": budget.timeouts()},
        }

    def _seconds(self, call: Call[Any]) -> float:
        return self._given_s or call.timeout_s or self._timeout_s

    def _patience(self) -> Patience:
        return Patience(self.host, self._heard_s, self._given_s or PATIENCE_S)

    def _silence(self, feed: Feed[Any]) -> Budget:
        budget = Budget((self._given_s or SILENCE_MAX_S) + feed.beat_s, HEAD_MAX_BYTES)
        budget.flowing = feed.flowing
        return budget


class Transport(_Base):
    """Carries calls and waits for their answers; keeps its connection until closed. Use as a context manager."""

    def _open(self, settings: dict[str, Any]) -> None:
        self._http = bind(httpx.Client(**settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
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
        attempts = Attempts(self.host, call, self._retries, self._seconds(call))
        while attempts.step is not None:
            if isinstance(attempts.step, Wait):
                time.sleep(attempts.step.seconds)
                attempts.go_on(None)
                continue
            try:
                answer = self._send(attempts.step, watch or Stopwatch())
            except (*BROKEN, Malformed) as error:
                attempts.fail(error)
            else:
                attempts.go_on(answer)
        return attempts.result

    def _send(self, step: Send, watch: Stopwatch) -> Answer:
        arguments = self._arguments(reached_at(self.host), step.call, step.budget)
        arguments["extensions"]["trace"] = watch.trace
        body = step.call.body.chunks() if isinstance(step.call.body, FileBody) else step.call.body
        request = self._http.build_request(**arguments, content=body)
        watch.start()
        answer = self._whole(self._http.send(request, stream=True))
        self._heard_s = time.monotonic()
        return answer

    def _whole(self, response: httpx.Response) -> Answer:
        content = bytearray()
        with closing(response):
            check_head(Answer(response.status_code, response.headers))
            for chunk in response.iter_raw():
                content += chunk
        return Answer(response.status_code, response.headers, bytes(content))

    def _follow(self, feed: Feed[T]) -> Iterator[T]:
        patience = self._patience()
        while True:
            try:
                base, budget = reached_at(self.host), self._silence(feed)
                request = self._http.build_request(**self._arguments(base, feed.call(), budget))
                with closing(self._http.send(request, stream=True)) as response:
                    failed = response.status_code >= httpx.codes.BAD_REQUEST
                    answer = self._whole(response) if failed else Answer(response.status_code, response.headers)
                    if patience.opened(answer, feed):
                        yield from _items(response, feed, patience, budget)
                        if feed.ended():
                            return
                wait_s = patience.after_end()
            except (*BROKEN, Malformed, Unreachable) as error:
                wait_s = patience.after_break(error)
            time.sleep(wait_s)


def _items(response: httpx.Response, feed: Feed[T], patience: Patience, budget: Budget) -> Iterator[T]:
    """What an open stream tells, until it ends."""
    budget.unbind()
    for chunk in response.iter_raw():
        signs = feed.signs
        yield from feed.take(chunk)
        if feed.signs != signs:
            budget.renew()
            patience.heard()


class AsyncTransport(_Base):
    """Carries calls for asyncio; keeps its connections until closed. Use as an async context manager."""

    def _open(self, settings: dict[str, Any]) -> None:
        self._http = bind_async(httpx.AsyncClient(**settings))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _reached_at(self) -> str:
        at_once = at_hand(self.host)
        return at_once if at_once is not None else await asyncio.to_thread(reached_at, self.host)

    async def _run_all(self, steps: Generator[Call[Any], Any, T]) -> T:
        try:
            call = next(steps)
            while True:
                call = steps.send(await self._run(call))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _run(self, call: Call[T], watch: Stopwatch | None = None) -> T:
        attempts = Attempts(self.host, call, self._retries, self._seconds(call))
        while attempts.step is not None:
            if isinstance(attempts.step, Wait):
                await asyncio.sleep(attempts.step.seconds)
                attempts.go_on(None)
                continue
            try:
                answer = await self._send(attempts.step, watch or Stopwatch())
            except (*BROKEN, Malformed) as error:
                attempts.fail(error)
            else:
                attempts.go_on(answer)
        return attempts.result

    async def _send(self, step: Send, watch: Stopwatch) -> Answer:
        async def trace(event: str, info: dict[str, Any]) -> None:
            watch.trace(event, info)

        arguments = self._arguments(await self._reached_at(), step.call, step.budget)
        arguments["extensions"]["trace"] = trace
        body = _async_chunks(step.call.body) if isinstance(step.call.body, FileBody) else step.call.body
        request = self._http.build_request(**arguments, content=body)
        watch.start()
        answer = await self._whole(await self._http.send(request, stream=True))
        self._heard_s = time.monotonic()
        return answer

    async def _whole(self, response: httpx.Response) -> Answer:
        content = bytearray()
        async with aclosing(response):
            check_head(Answer(response.status_code, response.headers))
            async for chunk in response.aiter_raw():
                content += chunk
        return Answer(response.status_code, response.headers, bytes(content))

    async def _follow(self, feed: Feed[T]) -> AsyncIterator[T]:
        patience = self._patience()
        while True:
            try:
                base, budget = await self._reached_at(), self._silence(feed)
                request = self._http.build_request(**self._arguments(base, feed.call(), budget))
                async with aclosing(await self._http.send(request, stream=True)) as response:
                    failed = response.status_code >= httpx.codes.BAD_REQUEST
                    answer = await self._whole(response) if failed else Answer(response.status_code, response.headers)
                    if patience.opened(answer, feed):
                        async with aclosing(_async_items(response, feed, patience, budget)) as items:
                            async for item in items:
                                yield item
                        if feed.ended():
                            return
                wait_s = patience.after_end()
            except (*BROKEN, Malformed, Unreachable) as error:
                wait_s = patience.after_break(error)
            await asyncio.sleep(wait_s)


async def _async_chunks(body: FileBody) -> AsyncIterator[bytes]:
    for chunk in body.chunks():
        yield chunk


async def _async_items(
    response: httpx.Response, feed: Feed[T], patience: Patience, budget: Budget
) -> AsyncGenerator[T, None]:
    """What an open stream tells, until it ends."""
    budget.unbind()
    async for chunk in response.aiter_raw():
        signs = feed.signs
        for item in feed.take(chunk):
            yield item
        if feed.signs != signs:
            budget.renew()
            patience.heard()

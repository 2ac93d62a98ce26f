"""EdgeClient and AsyncEdgeClient: the same calls, one blocking, one for asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from client import calls
from client.calls import Call, FileBody, Progress
from client.exchange import Send, Stopwatch, Wait, conduct
from client.hosts import Host, HostsFile
from client.trust import tls_context
from contract.classify import ClassifyOptions, ClassifyReply, DecodeMode, Prediction, QuantMode
from contract.info import AgentInfo, Health
from contract.models import ModelDescription, ModelList, ModelManifest
from contract.paths import TLS_SERVER_NAME

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0
DEFAULT_RETRIES = 2

Picture = bytes | str | Path
"""The bytes of a picture file, or where the file is."""


@dataclass(frozen=True)
class Classification:
    """The agent's answer and what the client saw around it."""

    reply: ClassifyReply
    host: str
    connect_ms: float
    """Opening the connection and the TLS handshake; 0 on a kept connection."""
    exchange_ms: float
    """From the first byte sent to the last byte received, the agent's work included."""

    @property
    def network_ms(self) -> float:
        """What the agent's own time does not explain of the exchange: both ways over the network."""
        return max(0.0, self.exchange_ms - self.reply.timing_ms.total)

    @property
    def predictions(self) -> list[Prediction]:
        """Classes, best first."""
        return self.reply.predictions

    @property
    def label(self) -> str:
        """Name of the best class, or its index where the model has no labels."""
        best = self.predictions[0]
        return best.label if best.label is not None else str(best.index)

    @property
    def score(self) -> float:
        """Probability of the best class, 0 to 1."""
        return self.predictions[0].score


class _Base:
    """What both clients are made of."""

    def __init__(
        self, host: Host | str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S, retries: int = DEFAULT_RETRIES
    ) -> None:
        """`host` is an entry of the hosts file by name, a URL, or a `Host`; None takes the current host.

        Raises HostError, NotTrusted.
        """
        self.host = host if isinstance(host, Host) else HostsFile().choose([host] if host else [])[0]
        self._retries = retries
        token = self.host.secret()
        self._settings: dict[str, Any] = {
            "base_url": self.host.url,
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "timeout": httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
            "verify": tls_context(self.host) or False,
            "trust_env": not self.host.is_loopback,  # no proxy on the way to this machine itself
        }

    def _arguments(self, call: Call[Any]) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "params": call.params,
            "headers": dict(call.headers),
            "extensions": {"sni_hostname": TLS_SERVER_NAME},
        }
        if call.timeout_s is not None:
            arguments["timeout"] = call.timeout_s
        return arguments

    def _classification(self, reply: ClassifyReply, watch: Stopwatch) -> Classification:
        return Classification(reply, self.host.name, watch.connect_ms, watch.exchange_ms)


class EdgeClient(_Base):
    """Talks to one agent; keeps its connection until closed. Use as a context manager."""

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

    def classify(
        self,
        picture: Picture,
        *,
        model: str | None = None,
        top_k: int = 5,
        runtime: str | None = None,
        decode: DecodeMode = DecodeMode.FAST,
        quant: QuantMode = QuantMode.CORRECT,
    ) -> Classification:
        """Classify one picture; raises EdgeError, OSError for a file that cannot be read."""
        options = ClassifyOptions(top_k=top_k, runtime=runtime, decode=decode, quant=quant)
        watch = Stopwatch()
        return self._classification(self._run(calls.classify(_content(picture), model, options), watch), watch)

    def live(self) -> Health:
        """Whether the agent's process answers; needs no token."""
        return self._run(calls.live())

    def ready(self) -> Health:
        """Whether the agent can classify now; raises AgentFault when it cannot."""
        return self._run(calls.ready())

    def info(self) -> AgentInfo:
        """What the agent is and what it may use."""
        return self._run(calls.info())

    def models(self) -> ModelList:
        """The agent's models and its default."""
        return self._run(calls.models())

    def model(self, name: str) -> ModelDescription:
        """One model."""
        return self._run(calls.model(name))

    def push_model(
        self, name: str, manifest: ModelManifest, files: Mapping[str, Path], progress: Progress | None = None
    ) -> ModelDescription:
        """Put a model on the agent; `files` are by digest. Files that the agent holds are not sent again."""
        return self._run_all(calls.push_model(name, manifest, files, progress))

    def delete_model(self, name: str) -> None:
        """Remove a model from the agent."""
        self._run(calls.delete_model(name))

    def choose_default_model(self, name: str) -> None:
        """Let a model answer requests that name none."""
        self._run(calls.choose_default_model(name))

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
        return self._http.request(step.call.method, step.call.path, content=body, **arguments)


class AsyncEdgeClient(_Base):
    """Talks to one agent from asyncio; keeps its connections until closed. Use as an async context manager."""

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

    async def classify(
        self,
        picture: Picture,
        *,
        model: str | None = None,
        top_k: int = 5,
        runtime: str | None = None,
        decode: DecodeMode = DecodeMode.FAST,
        quant: QuantMode = QuantMode.CORRECT,
    ) -> Classification:
        """Classify one picture; raises EdgeError, OSError for a file that cannot be read."""
        options = ClassifyOptions(top_k=top_k, runtime=runtime, decode=decode, quant=quant)
        content = await asyncio.to_thread(_content, picture)
        watch = Stopwatch()
        return self._classification(await self._run(calls.classify(content, model, options), watch), watch)

    async def live(self) -> Health:
        """Whether the agent's process answers; needs no token."""
        return await self._run(calls.live())

    async def ready(self) -> Health:
        """Whether the agent can classify now; raises AgentFault when it cannot."""
        return await self._run(calls.ready())

    async def info(self) -> AgentInfo:
        """What the agent is and what it may use."""
        return await self._run(calls.info())

    async def models(self) -> ModelList:
        """The agent's models and its default."""
        return await self._run(calls.models())

    async def model(self, name: str) -> ModelDescription:
        """One model."""
        return await self._run(calls.model(name))

    async def push_model(
        self, name: str, manifest: ModelManifest, files: Mapping[str, Path], progress: Progress | None = None
    ) -> ModelDescription:
        """Put a model on the agent; `files` are by digest. Files that the agent holds are not sent again."""
        return await self._run_all(calls.push_model(name, manifest, files, progress))

    async def delete_model(self, name: str) -> None:
        """Remove a model from the agent."""
        await self._run(calls.delete_model(name))

    async def choose_default_model(self, name: str) -> None:
        """Let a model answer requests that name none."""
        await self._run(calls.choose_default_model(name))

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
        return await self._http.request(step.call.method, step.call.path, content=body, **arguments)


def _content(picture: Picture) -> bytes:
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


async def _async_chunks(body: FileBody) -> AsyncIterator[bytes]:
    for chunk in body.chunks():
        yield chunk

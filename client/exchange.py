"""How one call is carried out, without saying how bytes move: retries, waits and errors for both clients."""

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from client.calls import Call
from client.errors import AgentFault, Answered, EdgeError, NotAuthorized, NotTrusted, Refused, Unreachable
from client.hosts import Host
from client.trust import mismatch
from contract.codes import ErrorCode
from contract.errors import PROBLEM_MEDIA_TYPE, Problem

T = TypeVar("T")

WAIT_MAX_S = 10.0
"""The longest Retry-After that is waited for."""
RETRIED_CODES = frozenset(
    {
        ErrorCode.QUEUE_FULL,
        ErrorCode.OVERLOADED,
        ErrorCode.NOT_READY,
        ErrorCode.SHUTTING_DOWN,
        ErrorCode.WORKER_LOST,
    }
)
"""Refusals that pass by themselves."""


@dataclass
class Stopwatch:
    """What was seen from outside of the attempt that was answered, by httpcore's trace events."""

    connect_ms: float = 0.0
    """Opening the connection and the TLS handshake; 0 on a kept connection."""
    exchange_ms: float = 0.0
    """From the first byte sent to the last byte received."""
    _started_ns: dict[str, int] = field(default_factory=dict, repr=False)

    def start(self) -> None:
        """Begin an attempt."""
        self.connect_ms = self.exchange_ms = 0.0

    def trace(self, event: str, _info: dict[str, Any]) -> None:
        """The hook for httpx's `trace` extension."""
        phase, _, moment = event.rpartition(".")
        now_ns = time.perf_counter_ns()
        if moment == "started":
            self._started_ns[phase] = now_ns
        elif moment == "complete" and phase in ("connection.connect_tcp", "connection.start_tls"):
            self.connect_ms += (now_ns - self._started_ns[phase]) / 1e6
        elif moment == "complete" and phase == "http11.receive_response_body":
            self.exchange_ms = (now_ns - self._started_ns["http11.send_request_headers"]) / 1e6


@dataclass(frozen=True)
class Send:
    """Step: send the call's request and give back the response, or throw what the transport raised."""

    call: Call[Any]


@dataclass(frozen=True)
class Wait:
    """Step: wait before the next attempt."""

    seconds: float


def conduct(host: Host, call: Call[T], retries: int) -> Generator[Send | Wait, Any, T]:
    """The steps of one call; returns what its answer says or raises EdgeError.

    A call is sent again only where that is safe: after a refusal that passes by itself, and, for calls that may be
    repeated, when the agent closed a kept connection before it answered.
    """
    for left in range(retries, -1, -1):
        try:
            response = yield Send(call)
        except httpx.RemoteProtocolError as error:
            if call.repeatable and left:
                continue
            raise Unreachable(f"{host.name}: the connection broke off: {error}") from error
        except httpx.TransportError as error:
            raise unreachable(host, error) from error
        if response.status_code < 400 or response.status_code in call.statuses:
            return _parsed(host, call, response)
        answered = error_of(host, response)
        if not left or not (call.repeatable and answered.problem.code in RETRIED_CODES):
            raise answered
        yield Wait(_retry_after_s(response))
    raise AssertionError("the last attempt returns or raises")


def _parsed(host: Host, call: Call[T], response: httpx.Response) -> T:
    try:
        return call.parse(response)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        hint = "compare `client --version` with the agent's in `client doctor`"
        raise EdgeError(f"{host.name}: unexpected answer, {where}: {first['msg']}", hint=hint) from error


def _retry_after_s(response: httpx.Response) -> float:
    value = response.headers.get("retry-after", "1")
    return min(float(value), WAIT_MAX_S) if value.isdecimal() else 1.0


def error_of(host: Host, response: httpx.Response) -> Answered:
    """The error that an answer of 400 and above stands for, its body read."""
    kind = AgentFault if response.status_code >= 500 else Refused
    if response.headers.get("content-type", "").startswith(PROBLEM_MEDIA_TYPE):
        try:
            problem = Problem.model_validate_json(response.content)
        except ValidationError:
            problem = _foreign(host, response)
    else:
        problem = _foreign(host, response)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        kind = NotAuthorized
    return kind(host.name, problem)


def _foreign(host: Host, response: httpx.Response) -> Problem:
    """An error that is not edgerun's: from a proxy, another server on the port, or uvicorn itself."""
    text = response.text.strip().splitlines()[0][:200] if response.text.strip() else "no text"
    return Problem(
        type="about:blank",
        title="The agent did not say why",
        status=response.status_code,
        detail=f"HTTP {response.status_code}: {text}",
        code="unknown",
        hint=f"is it an edgerun agent that answers at {host.url}?",
    )


def unreachable(host: Host, error: httpx.TransportError) -> EdgeError:
    """The error for a request that the transport did not carry: Unreachable or NotTrusted."""
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return mismatch(host)
    if "SSL" in text or "WRONG_VERSION_NUMBER" in text:
        return NotTrusted(f"{host.name}: no TLS at {host.url}: {text}", hint="is the scheme right, https or http?")
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        hint = f"`client hosts test {host.name}` says how far it gets; `provision status` shows what should run"
        return Unreachable(f"{host.name}: cannot connect to {host.url}: {text}", hint=hint)
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(f"{host.name}: no answer in time ({text})", hint="allow more with --timeout")
    return Unreachable(f"{host.name}: the connection broke off: {text}")

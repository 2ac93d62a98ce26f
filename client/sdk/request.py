"""How one call is executed, without saying how bytes move: retries, waits and errors for both clients."""

import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from client.errors import (
    AgentFault,
    Answered,
    BadAnswer,
    EdgeError,
    Malformed,
    NotAuthorized,
    NotTrusted,
    Refused,
    Unreachable,
)
from client.sdk.answers import HEAD_MAX_BYTES, Answer, check_head, parsed
from client.sdk.budget import TIMEOUT_VARIABLE, Budget
from client.sdk.calls import Call
from client.sdk.hosts import Host
from client.sdk.trust import mismatch
from contract.codes import ErrorCode
from contract.errors import PROBLEM_MEDIA_TYPE, Problem
from contract.openinference import ProtocolError
from contract.paths import ERROR_CODE_HEADER

T = TypeVar("T")

WAIT_MAX_S = 10.0
"""The longest Retry-After that is waited for."""
CODE_MAX = 64
WORDS_MAX = 2000
"""Characters of an error's text that are shown."""
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
    """Step: send the call's request and give back the answer, or throw what the transport raised."""

    call: Call[Any]
    budget: Budget


@dataclass(frozen=True)
class Wait:
    """Step: wait before the next attempt."""

    seconds: float


def conduct(host: Host, call: Call[T], retries: int, timeout_s: float) -> Generator[Send | Wait, Any, T]:
    """The steps of one call; returns what its answer says or raises EdgeError. All attempts share the time.

    A call is sent again only where that is safe: after a refusal that passes by itself, and, for calls that may be
    repeated, when the agent closed a kept connection before it answered.
    """
    budget = Budget(timeout_s, call.bytes_max + HEAD_MAX_BYTES)
    for left in range(retries, -1, -1):
        try:
            answer: Answer = yield Send(call, budget)
            check_head(answer)
        except httpx.RemoteProtocolError as error:
            if not (call.repeatable and left and budget.left_s > 0):
                raise unreachable(host, error) from error
        except (httpx.TransportError, OSError) as error:
            raise unreachable(host, error) from error
        except Malformed as error:
            raise BadAnswer(host.name, str(error)) from error
        else:
            if answer.status < 400 or answer.status in call.statuses:
                return _parsed(host, call, answer)
            answered, wait_s = error_of(host, answer), _retry_after_s(answer)
            passing = call.repeatable and answered.problem.code in RETRIED_CODES
            if not (left and passing and wait_s < budget.left_s):
                raise answered
            yield Wait(wait_s)
        budget = Budget(budget.left_s, call.bytes_max + HEAD_MAX_BYTES)
    raise AssertionError("the last attempt returns or raises")


class Attempts(Generic[T]):
    """`conduct` for a loop that sends and waits in its own way: take `step` until it is None, then `result`."""

    result: T

    def __init__(self, host: Host, call: Call[T], retries: int, timeout_s: float) -> None:
        self._steps = conduct(host, call, retries, timeout_s)
        self.step: Send | Wait | None = next(self._steps)

    def go_on(self, answer: Answer | None) -> None:
        """Take the answer of a `Send`, or None after a `Wait`; raises EdgeError."""
        self._next(lambda: self._steps.send(answer))

    def fail(self, error: Exception) -> None:
        """Take what the transport raised instead of an answer; raises EdgeError."""
        self._next(lambda: self._steps.throw(error))

    def _next(self, advance: Callable[[], Send | Wait]) -> None:
        try:
            self.step = advance()
        except StopIteration as end:
            self.step, self.result = None, end.value


def _parsed(host: Host, call: Call[T], answer: Answer) -> T:
    try:
        return call.parse(answer)
    except Malformed as error:
        raise BadAnswer(host.name, str(error)) from error
    except ValidationError as error:
        raise BadAnswer(host.name, told(error)) from error


def told(error: ValidationError) -> str:
    """What is wrong with a document, without the document."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or "the document"
    return f"{ascii(where[:200]) if not where.isprintable() else where[:200]}: {first['msg'][:200]}"


def _retry_after_s(answer: Answer) -> float:
    value = answer.headers.get("retry-after", "1")
    return min(float(value), WAIT_MAX_S) if value.isdecimal() else 1.0


def error_of(host: Host, answer: Answer) -> Answered:
    """The error that an answer of 400 and above stands for, its body read."""
    kind = AgentFault if answer.status >= 500 else Refused
    problem = _foreign(host, answer)
    if answer.media_type == PROBLEM_MEDIA_TYPE:
        with suppress(ValidationError, Malformed):
            problem = Problem.model_validate(parsed(answer.content))
    elif (code := answer.headers.get(ERROR_CODE_HEADER)) is not None:
        with suppress(ValidationError, Malformed):
            said = ProtocolError.model_validate(parsed(answer.content)).error
            problem = Problem(type="about:blank", title=said, status=answer.status, detail=said, code=code[:CODE_MAX])
    for name in ("title", "detail", "hint"):
        if words := getattr(problem, name):
            setattr(problem, name, words[:WORDS_MAX])
    if answer.status == httpx.codes.UNAUTHORIZED or problem.code == ErrorCode.SCOPE_MISSING:
        kind = NotAuthorized
    return kind(host.name, problem)


def _foreign(host: Host, answer: Answer) -> Problem:
    """An error that is not edgerun's: from a proxy, another server on the port, or uvicorn itself."""
    lines = answer.content[:WORDS_MAX].decode(errors="replace").strip().splitlines()
    return Problem(
        type="about:blank",
        title="The agent did not say why",
        status=answer.status,
        detail=f"HTTP {answer.status}: {lines[0][:200] if lines else 'no text'}",
        code="unknown",
        hint=f"is it an edgerun agent that answers at {host.url}?",
    )


def unreachable(host: Host, error: httpx.TransportError | OSError) -> EdgeError:
    """The error for a request that the transport did not carry: Unreachable or NotTrusted."""
    text = (str(error) or type(error).__name__)[:WORDS_MAX]
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return mismatch(host)
    if host.tunnel and isinstance(error, httpx.ConnectError) and ("EOF" in text or not str(error)):
        where = f"port {urlsplit(host.url).port} of the device's loopback"
        hint = f"`provision status {host.name}` shows what should run"
        return Unreachable(f"{host.name}: nothing answers through the tunnel, at {where}", hint=hint)
    if "SSL" in text or "WRONG_VERSION_NUMBER" in text:
        return NotTrusted(f"{host.name}: no TLS at {host.url}: {text}", hint="is the scheme right, https or http?")
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        hint = f"`client hosts test {host.name}` says how far it gets; `provision status` shows what should run"
        return Unreachable(f"{host.name}: cannot connect to {host.url}: {text}", hint=hint)
    if isinstance(error, httpx.TimeoutException):
        hint = f"{TIMEOUT_VARIABLE} gives more seconds for slow networks"
        return Unreachable(f"{host.name}: no answer in time ({text})", hint=hint)
    hint = f"`client hosts test {host.name}` says how far it gets"
    return Unreachable(f"{host.name}: the connection broke off: {text}", hint=hint)

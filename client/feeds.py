"""Answers that arrive bit by bit, and how they go on after the connection broke: for both clients.

A feed says how to ask for what is still missing and turns bytes into items; it moves no bytes itself.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from client.calls import Call
from client.errors import EdgeError
from client.exchange import RETRIED_CODES, error_of, unreachable
from client.hosts import Host
from client.sse import EventParser
from contract import paths
from contract.jobs import Job, Progress
from contract.results import Window
from contract.telemetry import TelemetrySample

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

SILENCE_MAX_S = 30.0
"""A stream that says nothing for so long is opened again, from where it was: a dead connection looks the same."""
PATIENCE_S = 120.0
"""How long an agent that answered before may be away."""
RETRY_WAIT_S = 1.0


class Feed(ABC, Generic[T]):
    """One stream from an agent."""

    @abstractmethod
    def call(self) -> Call[None]:
        """The request for what is still missing."""

    @abstractmethod
    def take(self, chunk: bytes) -> Iterable[T]:
        """The items that are complete with these bytes."""

    def ended(self) -> bool:
        """Whether a stream that ended orderly has said everything."""
        return True


class Patience:
    """How long a broken stream is opened again: as long as the agent answers now and then."""

    def __init__(self, host: Host, heard_s: float | None, patience_s: float = PATIENCE_S) -> None:
        """`heard_s` is when the agent last answered another call, on the monotonic clock."""
        self._host = host
        self._patience_s = patience_s
        self._heard_s = heard_s

    def opened(self, response: httpx.Response) -> bool:
        """Whether the answer is the stream; False for a refusal that passes by itself. Raises Answered."""
        if response.status_code < httpx.codes.BAD_REQUEST:
            self._heard_s = time.monotonic()
            return True
        refusal = error_of(self._host, response)
        if self._heard_s is None or refusal.problem.code not in RETRIED_CODES:
            raise refusal
        return False

    def after_end(self) -> float:
        """Seconds to wait after a stream that ended too early."""
        return RETRY_WAIT_S

    def after_break(self, error: httpx.TransportError) -> float:
        """Seconds to wait after a broken connection; raises EdgeError when it was never there, or is gone too long."""
        away = self._heard_s is None or time.monotonic() - self._heard_s > self._patience_s + SILENCE_MAX_S
        if away:
            raise unreachable(self._host, error) from error
        return 0.0 if isinstance(error, httpx.ReadTimeout) else RETRY_WAIT_S


EVENT_KINDS: Mapping[str, type[Job] | type[Progress] | type[Window]] = {
    "state": Job,
    "progress": Progress,
    "window": Window,
}


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job."""

    id: str
    """What `last_event_id` takes to go on after it."""
    value: Job | Progress | Window
    """The job in its new state, how far it is, or a finished window of a benchmark."""


class EventFeed(Feed[JobEvent]):
    """A job's events until it has ended."""

    def __init__(self, job_id: str, last_event_id: str | None = None) -> None:
        self._path = paths.JOB_EVENTS.format(id=job_id)
        self._last_id = last_event_id
        self._parser = EventParser()
        self._over = False
        self._silent = True

    def call(self) -> Call[None]:
        """Go on after the last event that was seen."""
        self._parser, self._silent = EventParser(), True
        headers = {"Last-Event-ID": self._last_id} if self._last_id is not None else {}
        return _stream(self._path, headers=headers)

    def take(self, chunk: bytes) -> Iterator[JobEvent]:
        """Events; those of a newer agent that this client does not know are passed over."""
        for event in self._parser.feed(chunk):
            self._last_id, self._silent = event.id or self._last_id, False
            kind = EVENT_KINDS.get(event.kind)
            if kind is not None:
                value = _read(kind, event.data)
                self._over = self._over or (isinstance(value, Job) and value.state.ended)
                yield JobEvent(event.id, value)

    def ended(self) -> bool:
        """A stream that ends without the terminal state, but said something, is asked for more."""
        return self._over or self._silent


class LogFeed(Feed[bytes]):
    """A job's output from an offset on."""

    def __init__(self, job_id: str, stream: str, offset: int, follow: bool) -> None:
        self._path = paths.JOB_LOGS.format(id=job_id)
        self._stream = stream
        self._follow = follow
        self.offset = offset
        """Bytes of the whole output that came so far."""

    def call(self) -> Call[None]:
        """Go on after the last byte that was seen."""
        follow = "true" if self._follow else "false"
        return _stream(self._path, params={"stream": self._stream, "offset": self.offset, "follow": follow})

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """The bytes as they are."""
        self.offset += len(chunk)
        yield chunk


class FileFeed(Feed[int]):
    """A download into a file; begins again from the start when the connection breaks."""

    def __init__(self, path: str, target: Path) -> None:
        self._path = path
        self._target = target
        self._size_bytes = 0

    def call(self) -> Call[None]:
        """Empty the file and ask for everything."""
        self._target.write_bytes(b"")
        self._size_bytes = 0
        return _stream(self._path)

    def take(self, chunk: bytes) -> Iterator[int]:
        """Bytes in the file so far."""
        with self._target.open("ab") as file:
            file.write(chunk)
        self._size_bytes += len(chunk)
        yield self._size_bytes


class TelemetryFeed(Feed[TelemetrySample]):
    """A device's samples, without end; `info`, which the agent sends once, is in every one."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._parser = EventParser()
        self._first: TelemetrySample | None = None

    def call(self) -> Call[None]:
        """Ask anew: what was missed is gone."""
        self._parser = EventParser()
        return _stream(paths.TELEMETRY_STREAM, params={"interval_s": self._interval_s})

    def take(self, chunk: bytes) -> Iterator[TelemetrySample]:
        """Samples, completed by what only the first one carried."""
        for event in self._parser.feed(chunk):
            if event.kind == "sample":
                sample = _read(TelemetrySample, event.data)
                if sample.info or self._first is None:
                    self._first = sample
                yield sample.model_copy(update={"info": self._first.info})

    def ended(self) -> bool:
        """It never ends by itself."""
        return False


def _stream(
    path: str, *, params: dict[str, str | int | float] | None = None, headers: dict[str, str] | None = None
) -> Call[None]:
    return Call("GET", path, lambda _: None, params=params or {}, headers=headers or {}, timeout_s=SILENCE_MAX_S)


def _read(kind: type[M], data: str) -> M:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise EdgeError(f"unexpected event, {kind.__name__} {where}: {first['msg']}") from error

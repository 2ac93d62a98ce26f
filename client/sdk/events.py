"""Answers that arrive bit by bit, and how they go on after the connection broke: for both clients.

A feed says how to ask for what is still missing and turns bytes into items; it moves no bytes itself.
"""

import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from client.errors import EdgeError, Malformed
from client.sdk.answers import parsed
from client.sdk.calls import Call, located
from client.sdk.request import told
from client.sdk.sse import EventParser, ServerSentEvent
from contract import paths
from contract.jobs import Job, Progress
from contract.results import Window
from contract.telemetry import TelemetrySample

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

BEGINNINGS_MAX = 10
"""How often what has an end is asked for."""
USELESS_MAX_BYTES = 4 * 1024 * 1024
"""What a stream of events may say without telling anything."""
FILE_MAX_BYTES = 4 * 1024**3
DISK_RESERVE_BYTES = 64 * 1024 * 1024
"""What a download leaves free."""
EVENT_STREAM = "text/event-stream"
EVENT_ID_PATTERN = r"[A-Za-z0-9._:-]{0,64}"


class Feed(ABC, Generic[T]):
    """One stream from an agent."""

    media_type = EVENT_STREAM
    flowing = False
    """Whether every byte is a sign of life; else only what `signs` counts."""
    quiet = False
    """Whether it may go on without telling anything for as long as it likes."""
    beat_s = 0.0
    """Seconds between signs that were asked for."""
    signs = 0
    """Signs of life so far."""

    @abstractmethod
    def call(self) -> Call[None]:
        """The request for what is still missing."""

    @abstractmethod
    def take(self, chunk: bytes) -> Iterable[T]:
        """The items that are complete with these bytes."""

    def ended(self) -> bool:
        """Whether a stream that ended orderly has said everything."""
        return True


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


class _Events(Feed[T]):
    """A stream of server-sent events."""

    def __init__(self) -> None:
        self._parser = EventParser()
        self._useless_bytes = 0

    def take(self, chunk: bytes) -> Iterator[T]:
        """What the events that are complete with these bytes tell; raises Malformed when they never tell anything."""
        self._useless_bytes += len(chunk)
        for event in self._parser.feed(chunk):
            for item in self._items(event):
                self._useless_bytes = 0
                yield item
        if self._useless_bytes > USELESS_MAX_BYTES:
            raise Malformed(f"it says nothing in {self._useless_bytes} bytes")

    @abstractmethod
    def _items(self, event: ServerSentEvent) -> Iterator[T]:
        """What an event tells; nothing for kinds that are not known."""


class EventFeed(_Events[JobEvent]):
    """A job's events until it has ended."""

    def __init__(self, job_id: str, last_event_id: str | None = None) -> None:
        super().__init__()
        self._path = located(paths.JOB_EVENTS, id=job_id)
        self._job_id = job_id
        self._last_id = last_event_id
        self._over = False
        self._silent = True

    def call(self) -> Call[None]:
        """Go on after the last event that was seen."""
        self._parser, self._silent = EventParser(), True
        headers = {"Last-Event-ID": self._last_id} if self._last_id is not None else {}
        return _stream(self._path, headers=headers)

    def take(self, chunk: bytes) -> Iterator[JobEvent]:
        """Events; a whole line is a sign of life: a job that waits has nothing to tell, but its stream says so."""
        lines = self._parser.lines
        yield from super().take(chunk)
        self.signs += self._parser.lines - lines

    def _items(self, event: ServerSentEvent) -> Iterator[JobEvent]:
        self._silent = False
        if not re.fullmatch(EVENT_ID_PATTERN, event.id):
            raise Malformed("one of its events has an odd id")
        self._last_id = event.id or self._last_id
        kind = EVENT_KINDS.get(event.kind)
        if kind is not None:
            value = _read(kind, event.data)
            if isinstance(value, Job):
                if value.id != self._job_id:
                    raise Malformed(f"it tells of the job {value.id}, not of {self._job_id}")
                self._over = self._over or value.state.ended
            yield JobEvent(event.id, value)

    def ended(self) -> bool:
        """A stream that ends without the terminal state, but said something, is asked for more."""
        return self._over or self._silent


class LogFeed(Feed[bytes]):
    """A job's output from an offset on."""

    media_type = "text/plain"
    flowing = True

    def __init__(self, job_id: str, stream: str, offset: int, follow: bool) -> None:
        self._path = located(paths.JOB_LOGS, id=job_id)
        self._stream = stream
        self.quiet = follow
        self._beginnings = 0
        self.offset = offset
        """Bytes of the whole output that came so far."""

    def call(self) -> Call[None]:
        """Go on after the last byte that was seen; raises Malformed when that is asked too often."""
        if not self.quiet:
            self._beginnings = _checked_beginnings(self._beginnings + 1)
        follow = "true" if self.quiet else "false"
        return _stream(self._path, params={"stream": self._stream, "offset": self.offset, "follow": follow})

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """The bytes as they are."""
        self.offset += len(chunk)
        self.signs += 1
        yield chunk


class FileFeed(Feed[int]):
    """A download into a file; begins again from the start when the connection breaks."""

    media_type = "application/x-tar"
    flowing = True

    def __init__(
        self,
        path: str,
        target: Path,
        limit_bytes: int = FILE_MAX_BYTES,
        params: dict[str, str | int | float] | None = None,
    ) -> None:
        self._path = path
        self._params = params
        self._target = target
        self._limit_bytes = min(limit_bytes, FILE_MAX_BYTES)
        self._size_bytes = 0
        self._beginnings = 0

    def call(self) -> Call[None]:
        """Empty the file and ask for everything; raises Malformed when that is asked too often."""
        self._beginnings = _checked_beginnings(self._beginnings + 1)
        self._write(b"", "wb")
        self._size_bytes = 0
        return _stream(self._path, params=self._params)

    def take(self, chunk: bytes) -> Iterator[int]:
        """Bytes in the file so far; raises Malformed for too many, EdgeError when the disk has no room for them."""
        self._size_bytes += len(chunk)
        self.signs += 1
        if self._size_bytes > self._limit_bytes:
            raise Malformed(f"it is larger than the {self._limit_bytes} bytes that can be")
        self._write(chunk, "ab")
        yield self._size_bytes

    def _write(self, chunk: bytes, mode: str) -> None:
        try:
            check_room(self._target.parent)
            with self._target.open(mode) as file:
                file.write(chunk)
        except OSError as error:
            raise EdgeError(f"{self._target}: {error.strerror or error}") from error


def artifacts_feed(job_id: str, target: Path, limit_bytes: int, changed_since_s: float | None) -> FileFeed:
    """The download of what a program left, or has left so far when it is said since when."""
    params: dict[str, str | int | float] | None = None
    if changed_since_s is not None:
        params = {"changed_since": changed_since_s}
    return FileFeed(located(paths.JOB_ARTIFACTS, id=job_id), target, limit_bytes, params)


class TelemetryFeed(_Events[TelemetrySample]):
    """A device's samples, without end; `info`, which the agent sends once, is in every one."""

    def __init__(self, interval_s: float) -> None:
        super().__init__()
        self.beat_s = interval_s
        self._first: TelemetrySample | None = None

    def call(self) -> Call[None]:
        """Ask anew: what was missed is gone."""
        self._parser = EventParser()
        return _stream(paths.TELEMETRY_STREAM, params={"interval_s": self.beat_s})

    def _items(self, event: ServerSentEvent) -> Iterator[TelemetrySample]:
        """A sample, completed by what only the first one carried."""
        if event.kind == "sample":
            sample = _read(TelemetrySample, event.data)
            if sample.info or self._first is None:
                self._first = sample
            self.signs += 1
            yield sample.model_copy(update={"info": self._first.info})

    def ended(self) -> bool:
        """It never ends by itself."""
        return False


def check_room(folder: Path) -> None:
    """Raise EdgeError when a disk is so full that a download should not go on; OSError when it cannot be told."""
    if shutil.disk_usage(folder).free < DISK_RESERVE_BYTES:
        raise EdgeError(f"{folder}: less than {DISK_RESERVE_BYTES} bytes are free", hint="make room, then fetch again")


def _checked_beginnings(count: int) -> int:
    if count > BEGINNINGS_MAX:
        raise Malformed(f"it broke off {BEGINNINGS_MAX} times")
    return count


def _stream(
    path: str, *, params: dict[str, str | int | float] | None = None, headers: dict[str, str] | None = None
) -> Call[None]:
    return Call("GET", path, lambda _: None, params=params or {}, headers=headers or {})


def _read(kind: type[M], data: str) -> M:
    try:
        return kind.model_validate(parsed(data.encode()))
    except ValidationError as error:
        raise Malformed(f"one of its events is no {kind.__name__}: {told(error)}") from error

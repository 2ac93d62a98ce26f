"""Server-sent events as the HTML standard defines their stream (section 9.2.6)."""

from collections.abc import Iterator
from dataclasses import dataclass

from client.errors import Malformed

EVENT_MAX_BYTES = 4 * 1024 * 1024
"""The most bytes of one event, and of one line; the largest is a job with all that was asked of it."""


@dataclass(frozen=True)
class ServerSentEvent:
    """One event; `id` is the newest one the stream has given so far."""

    kind: str
    data: str
    id: str


class EventParser:
    """Turns the bytes of one stream into events; bytes may be cut anywhere, within a character too."""

    def __init__(self) -> None:
        self.lines = 0
        """Whole lines so far."""
        self._rest = bytearray()
        self._kind = ""
        self._data: list[str] = []
        self._data_bytes = 0
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that are complete with these bytes; raises Malformed for one that is too large, or no text."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            whole = bytes(self._rest + line)
            self._rest.clear()
            self._check(len(whole))
            yield from self._line(whole.removesuffix(b"\r"))
        self._rest += rest
        self._check(len(self._rest))

    def _check(self, more_bytes: int) -> None:
        if self._data_bytes + more_bytes > EVENT_MAX_BYTES:
            raise Malformed(f"one of its events is larger than {EVENT_MAX_BYTES} bytes")

    def _line(self, raw: bytes) -> Iterator[ServerSentEvent]:
        self.lines += 1
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            raise Malformed("one of its events is not UTF-8") from None
        if not line:
            if self._data:
                yield ServerSentEvent(self._kind or "message", "\n".join(self._data), self._id)
            self._kind, self._data, self._data_bytes = "", [], 0
            return
        name, _, value = line.partition(":")  # a line that begins with a colon is a comment
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
            self._data_bytes += len(raw) + 1
        elif name == "id":
            self._id = value

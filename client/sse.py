"""Server-sent events as the HTML standard defines their stream (section 9.2.6)."""

from collections.abc import Iterator
from dataclasses import dataclass

from client.errors import EdgeError

LINE_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Event:
    """One event; `id` is the newest one the stream has given so far."""

    kind: str
    data: str
    id: str


class EventParser:
    """Turns the bytes of one stream into events; bytes may be cut anywhere, within a character too."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that are complete with these bytes; raises EdgeError for a line without end."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_MAX_BYTES:
            raise EdgeError("the agent sends an event that is too long", hint="is it an edgerun agent?")
        for line in lines:
            yield from self._line(line.removesuffix(b"\r").decode(errors="replace"))

    def _line(self, line: str) -> Iterator[Event]:
        if not line:
            if self._data:
                yield Event(self._kind or "message", "\n".join(self._data), self._id)
            self._kind, self._data = "", []
            return
        name, _, value = line.partition(":")  # a line that begins with a colon is a comment
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value

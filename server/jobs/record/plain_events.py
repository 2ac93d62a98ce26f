"""What the process of every kind of job reports, one event a line.

These load without pydantic, which would take the process of a command longer than all else. `events` has the rest,
and reads both.
"""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt, MaxLen

NAME_MAX = 100
Name = Annotated[str, MaxLen(NAME_MAX)]
Nanoseconds = Annotated[int, Ge(0), Lt(1 << 63)]
Count = Annotated[int, Ge(0), Lt(1 << 63)]


@dataclass(frozen=True, kw_only=True)
class PlainEvent:
    """One line."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"allow_inf_nan": False}

    def to_json(self) -> bytes:
        """The event as a line without its end."""
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, kw_only=True)
class PhaseEvent(PlainEvent):
    """A new phase begins."""

    event: Literal["phase"] = "phase"
    name: Name
    at_ns: Nanoseconds
    """When it happened, on the clock of `time.monotonic_ns`."""


@dataclass(frozen=True, kw_only=True)
class ProbeEvent(PlainEvent):
    """How fast the machine was, before and after: `contract.results.Probe`."""

    event: Literal["probe"] = "probe"
    before_ms: float
    after_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class EndedEvent(PlainEvent):
    """How a program ended; nothing is known of one that was cut off."""

    event: Literal["ended"] = "ended"
    exit_code: int | None = None
    signal: str | None = None
    duration_s: float | None = None
    cpu_s: float | None = None
    max_resident_bytes: Count | None = None
    left_running: Count = 0


@dataclass(frozen=True, kw_only=True)
class FailedEvent(PlainEvent):
    """The work could not be done."""

    event: Literal["failed"] = "failed"
    code: Name
    detail: str


@dataclass(frozen=True, kw_only=True)
class DoneEvent(PlainEvent):
    """The work was done to its end."""

    event: Literal["done"] = "done"

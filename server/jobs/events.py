"""What a job's process reports, as the agent takes it: every line is checked, since a program may have written it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from contract.devices import DeviceEvent
from contract.results import BatchMode, ModelFacts, OperatorProfile, Probe, Window

NAME_MAX = 100
DETAIL_MAX = 10_000
Name = Annotated[str, Field(max_length=NAME_MAX)]
Nanoseconds = Annotated[int, Field(ge=0, lt=1 << 63)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]


class PhaseEvent(BaseModel):
    """A new phase begins."""

    event: Literal["phase"]
    name: Name
    at_ns: Nanoseconds
    """When it happened, on the clock of `time.monotonic_ns`."""


class ReportedEngine(BaseModel):
    """What runs a model, as its runtime tells; a profile's process does not tell."""

    runtime: str | None = None
    runtime_version: str | None = None
    device: str | None = None
    precision: str | None = None
    loaded_from_cache: bool | None = None
    delegate: str | None = None
    batch_mode: BatchMode | None = None
    batch_detail: str | None = None


class LoadedEvent(ReportedEngine):
    """The model is loaded and has run once."""

    event: Literal["loaded"]
    load_ms: FiniteFloat
    first_inference_ms: FiniteFloat
    predictions: list[tuple[int, float]] = Field(default=[], max_length=1000)


class DeviceReport(DeviceEvent):
    """Something happened to a device."""

    event: Literal["device"]


class RanOnEvent(ReportedEngine):
    """What the timed phase ended on."""

    event: Literal["ran-on"]
    iterations: dict[str, Count]


class WarmUpEvent(BaseModel):
    """The warm-up is over."""

    event: Literal["warm-up"]
    took_ms: list[FiniteFloat]


class WindowEvent(Window):
    """A stretch of the measurement."""

    model_config = ConfigDict(allow_inf_nan=False)

    event: Literal["window"]
    iterations: Count
    samples_ms: list[FiniteFloat]


class ProfiledEvent(ModelFacts):
    """Operators and what the file says of them; the rest is named as in ProfileResult."""

    event: Literal["profiled"]
    operators: list[OperatorProfile]
    explained: FiniteFloat | None
    method: str
    method_detail: str | None = None
    device: str
    precision: str | None = None
    plain_p50_ms: FiniteFloat | None

    @property
    def graph(self) -> dict[str, Any]:
        """What stands in the result under the same names."""
        return self.model_dump(exclude={"event", "operators", "explained"})


class Ended(BaseModel):
    """How a program ended; nothing is known of one that was cut off."""

    exit_code: int | None = None
    signal: str | None = None
    duration_s: FiniteFloat | None = None
    cpu_s: FiniteFloat | None = None
    max_resident_bytes: Count | None = None
    left_running: Count = 0


class EndedEvent(Ended):
    """A program has ended."""

    event: Literal["ended"]


class ProbeEvent(Probe):
    """How fast the machine was, before and after."""

    model_config = ConfigDict(allow_inf_nan=False)

    event: Literal["probe"]


class FailedEvent(BaseModel):
    """The work could not be done."""

    event: Literal["failed"]
    code: Name
    detail: str


class DoneEvent(BaseModel):
    """The work was done to its end."""

    event: Literal["done"]


Event = Annotated[
    PhaseEvent
    | LoadedEvent
    | DeviceReport
    | RanOnEvent
    | WarmUpEvent
    | WindowEvent
    | ProfiledEvent
    | EndedEvent
    | ProbeEvent
    | FailedEvent
    | DoneEvent,
    Field(discriminator="event"),
]
_event: TypeAdapter[Event] = TypeAdapter(Event)


def decode_event(line: bytes) -> Event | None:
    """One line, None when it is none that this agent knows, or not whole."""
    try:
        return _event.validate_json(line)
    except ValidationError:
        return None

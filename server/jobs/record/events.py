"""What a job's process reports, as it writes it and as the agent takes it.

Every line is checked when it is read, since a program may have written it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from contract.devices import DeviceEvent
from contract.results import BatchMode, ModelFacts, OperatorProfile, Window
from server.jobs.record.plain_events import Count, DoneEvent, EndedEvent, FailedEvent, PhaseEvent, ProbeEvent

DETAIL_MAX = 10_000


class MeasuredEvent(BaseModel):
    """One line of a process that runs a model."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    def to_json(self) -> bytes:
        """The event as a line without its end."""
        return self.model_dump_json().encode()


class EngineFacts(BaseModel):
    """What runs a model, as its runtime tells; named as in BenchmarkResult."""

    runtime: str
    runtime_version: str
    device: str
    precision: str | None
    loaded_from_cache: bool | None
    delegate: str | None
    batch_mode: BatchMode
    batch_detail: str | None


class LoadedEvent(MeasuredEvent):
    """The model is loaded and has run once."""

    event: Literal["loaded"] = "loaded"
    load_ms: FiniteFloat
    first_inference_ms: FiniteFloat
    engine: EngineFacts | None = None
    """None in a profile, which tells at its end."""
    predictions: list[tuple[int, float]] = Field(default=[], max_length=1000)


class DeviceReport(MeasuredEvent, DeviceEvent):
    """Something happened to a device."""

    event: Literal["device"] = "device"


class RanOnEvent(MeasuredEvent):
    """What the timed phase ended on."""

    event: Literal["ran-on"] = "ran-on"
    engine: EngineFacts
    iterations: dict[str, Count]
    """Iterations by engine, where there was a choice."""


class WarmUpEvent(MeasuredEvent):
    """The warm-up is over."""

    event: Literal["warm-up"] = "warm-up"
    took_ms: list[FiniteFloat]


class WindowEvent(MeasuredEvent, Window):
    """A stretch of the measurement."""

    model_config = ConfigDict(allow_inf_nan=False)

    event: Literal["window"] = "window"
    iterations: Count
    samples_ms: list[FiniteFloat]


class ProfiledEvent(MeasuredEvent):
    """Operators and what the file says of them, named as in ProfileResult."""

    event: Literal["profiled"] = "profiled"
    operators: list[OperatorProfile]
    explained: FiniteFloat | None
    method: str
    method_detail: str | None
    device: str
    precision: str | None
    plain_p50_ms: FiniteFloat
    facts: ModelFacts


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

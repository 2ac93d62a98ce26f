"""Which device runs a model: what was asked, what was chosen and why, and what happened on the way."""

from enum import StrEnum

from pydantic import BaseModel

_NAME = r"[A-Z][A-Z0-9_]*(\.[0-9]+)?"
DEVICE_PATTERN = rf"^(AUTO|HETERO:{_NAME}|AUTO:{_NAME}|{_NAME})(,{_NAME})*$"
"""`AUTO`, `AUTO:GPU,CPU`, `HETERO:GPU,CPU`, `CPU`, `GPU`, `GPU.1`, `NPU`, `EDGETPU`, ..."""


class Precision(StrEnum):
    """Numbers that weighted operators compute with."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    INT8 = "int8"


class RuntimeDevice(BaseModel):
    """A device as a runtime sees it."""

    name: str
    available: bool
    detail: str
    """Its full name, or why it cannot be used."""


class Rejection(BaseModel):
    """A device that was considered and not used."""

    runtime: str
    device: str
    reason: str


class DeviceStep(StrEnum):
    """What happened to a device while a model was run."""

    STARTED = "started"
    """The first inferences run on it."""
    COMPILING = "compiling"
    """It is made ready while another one runs the model."""
    HANDED_OVER = "handed_over"
    """It is ready, was found to give the same results, and runs the model from here on."""
    REJECTED = "rejected"
    """It could not be made ready, or gave other results."""
    LOST = "lost"
    """It failed while it ran the model; the inference was repeated on the next one."""


class DeviceEvent(BaseModel):
    """A step, with its time since loading began."""

    at_s: float
    step: DeviceStep
    runtime: str
    device: str
    detail: str | None = None


class Selection(BaseModel):
    """How a job came to its device."""

    requested: str
    reason: str
    rejected: list[Rejection]
    events: list[DeviceEvent]
    iterations: dict[str, int]
    """Timed iterations by `runtime device`, in the order of their first use."""

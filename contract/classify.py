"""Classification: what is asked of one picture and what comes back."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.errors import Problem
from contract.models import Digest, ModelName
from contract.text import Name

TOP_K_MAX = 100
CLASS_INDEX_MAX = 999_999_999
REQUEST_ID_PATTERN = r"^[A-Za-z0-9_-]{8,64}$"


class DecodeMode(StrEnum):
    """How a JPEG is decoded."""

    FAST = "fast"
    """The decoder may skip detail down to twice the model's input size."""
    EXACT = "exact"
    """Every pixel is decoded before the picture is resized."""
    FASTEST = "fastest"
    """The decoder may skip detail down to the model's input size itself, which changes scores a little more."""


class QuantMode(StrEnum):
    """How real input values become the integers of a quantised model."""

    CORRECT = "correct"
    """round(real / scale + zero_point)."""
    LEGACY_SAMPLE = "legacy_sample"
    """The CHI@Edge teaching notebook's mapping, which ignores the zero point. For comparison only."""


class ImageOptions(BaseModel):
    """The query parameters of every request that brings pictures; `None` leaves the choice to the agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runtime: Name | None = None
    decode: DecodeMode = DecodeMode.FAST


class ClassifyOptions(ImageOptions):
    """The query parameters of a classify request."""

    top_k: int = Field(default=5, ge=1, le=TOP_K_MAX)
    quant: QuantMode = QuantMode.CORRECT


class Prediction(BaseModel):
    """One class of the answer, best first."""

    index: int = Field(ge=0, le=CLASS_INDEX_MAX)
    label: str | None
    score: float
    """Probability, 0 to 1."""


class StageTimes(BaseModel):
    """Milliseconds a request spent in each stage on the agent.

    `total` runs from the last byte of the picture's arrival until the answer is back from the worker, so it
    also holds the hand-over between processes; the time on the network is never part of it.
    """

    queue: float
    load: float | None = None
    """Only when this request was the first to need the model in its worker."""
    decode: float
    preprocess: float
    inference: float
    postprocess: float
    suppression: float | None = None
    """Removing boxes of one object but the best one (non-maximum suppression); only where the agent does it."""
    total: float


class ModelRef(BaseModel):
    """Which model answered."""

    name: ModelName
    digest: Digest


class RuntimeUsed(BaseModel):
    """What ran the model."""

    name: str
    version: str
    device: str
    delegate: str | None
    """`XNNPACK`, or `None` where the runtime's built-in kernels ran."""
    threads: int


class ImageInfo(BaseModel):
    """The picture as sent and as decoded."""

    format: str
    width: int
    height: int
    decoded_width: int
    decoded_height: int
    decode: Literal["full", "reduced", "coarse"]
    """`reduced`: a JPEG was decoded at a fraction of its size, which `decode=exact` switches off; `coarse`: at less
    than twice the model's input size, which only `decode=fastest` allows."""
    exif_orientation: int
    """EXIF orientation that was applied, 1 for none."""


class ClassifyReply(BaseModel):
    """The answer to one picture."""

    request_id: Annotated[str, Field(pattern=REQUEST_ID_PATTERN)]
    model: ModelRef
    runtime: RuntimeUsed
    predictions: list[Prediction]
    scores: Literal["softmax", "model"]
    """`softmax`: computed by the agent from logits; `model`: the model ends in probabilities itself."""
    image: ImageInfo
    timing_ms: StageTimes


class ImageReply(BaseModel):
    """One part of a multipart request: either its result or its problem."""

    name: str
    result: ClassifyReply | None = None
    problem: Problem | None = None


class BatchReply(BaseModel):
    """The answer to a multipart request, one entry a picture in the order sent."""

    results: list[ImageReply]

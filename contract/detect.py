"""Detection: what is asked of one picture and which objects come back."""

from typing import Annotated

from pydantic import BaseModel, Field

from contract.classify import (
    CLASS_INDEX_MAX,
    REQUEST_ID_PATTERN,
    ImageInfo,
    ImageOptions,
    ModelRef,
    RuntimeUsed,
    StageTimes,
)
from contract.errors import Problem

DETECTIONS_MAX = 300
EDGE_MAX_PX = 2**31 - 1
"""The widest picture that PNG allows."""

Edge = Annotated[float, Field(ge=0, le=EDGE_MAX_PX, allow_inf_nan=False)]


class DetectOptions(ImageOptions):
    """The query parameters of a detect request."""

    min_score: float = Field(default=0.25, ge=0, le=1)
    """Objects with a lower score are left out."""
    iou_threshold: float = Field(default=0.45, ge=0, le=1)
    """Of two boxes of one class that share more than this (intersection over union), the better one stays. Not for
    models that do this themselves."""
    max_detections: int = Field(default=100, ge=1, le=DETECTIONS_MAX)


class Box(BaseModel):
    """A rectangle on the picture, in pixels of the file as it is stored, from its upper left corner.

    What rotated the picture for the model (EXIF orientation) or brought it to the model's size is undone.
    """

    left: Edge
    top: Edge
    right: Edge
    bottom: Edge


class Detection(BaseModel):
    """One object, best score first."""

    index: int = Field(ge=0, le=CLASS_INDEX_MAX)
    """Of its class."""
    label: str | None
    score: float = Field(ge=0, le=1)
    """As the model has it."""
    box_px: Box


class DetectReply(BaseModel):
    """The objects found in one picture."""

    request_id: Annotated[str, Field(pattern=REQUEST_ID_PATTERN)]
    model: ModelRef
    runtime: RuntimeUsed
    detections: list[Detection] = Field(max_length=DETECTIONS_MAX)
    image: ImageInfo
    timing_ms: StageTimes


class DetectImageReply(BaseModel):
    """One part of a multipart request: either its result or its problem."""

    name: str
    result: DetectReply | None = None
    problem: Problem | None = None


class DetectBatchReply(BaseModel):
    """The answer to a multipart request, one entry a picture in the order sent."""

    results: list[DetectImageReply]

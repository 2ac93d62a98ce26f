"""From a picture to the tensor of a model that takes one: shared by all tasks."""

import io
import math
from collections.abc import Sequence

import numpy as np

from contract.codes import ErrorCode
from image_model.preprocess import (
    Decoded,
    ImageError,
    InputSpec,
    NotAnImage,
    TooManyPixels,
    decode,
    is_identity,
    pixel_table,
    resize,
    to_tensor,
)
from server.runtimes.base import Array, Tensor
from server.tasks.base import OrderFailed

InputRange = tuple[float, float] | list[tuple[float, float]]
"""Real values of a black and of a white pixel, for all channels or for each."""

COLOUR_CHANNELS = (1, 3)
IMAGE_TYPES = ("uint8", "int8", "float32")


class ImageInput:
    """The input tensor of a model that takes pictures."""

    def __init__(self, tensor: Tensor, input_range: InputRange, fit: str) -> None:
        self.spec = input_spec(tensor)
        self.fit = fit
        self._table = pixel_table(self.spec, input_range)
        self._identity = is_identity(self._table)
        self._channels_first = channels_first(tensor)

    def decode(self, file: memoryview | bytes, *, headroom: int | None, max_pixels: int) -> Decoded:
        """Decode a picture's file; raises OrderFailed."""
        target = (self.spec.width, self.spec.height)
        try:
            return decode(io.BytesIO(file), target, headroom=headroom, max_pixels=max_pixels)
        except ImageError as error:
            codes = {NotAnImage: ErrorCode.NOT_AN_IMAGE, TooManyPixels: ErrorCode.TOO_MANY_PIXELS}
            raise OrderFailed(codes.get(type(error), ErrorCode.TRUNCATED_IMAGE), str(error)) from error

    def tensor(self, decoded: Decoded, table: Array | None = None) -> Array:
        """The tensor of a decoded picture, batch 1; by the model's own table of pixel values, or another."""
        pixels = resize(decoded.image, self.spec, fit=self.fit)
        if table is None and self._identity and not self._channels_first:
            return pixels[np.newaxis]
        filled = to_tensor(pixels, self._table if table is None else table)
        return np.ascontiguousarray(filled.transpose(0, 3, 1, 2)) if self._channels_first else filled


def why_no_image(inputs: Sequence[Tensor], who: str) -> str | None:
    """None when the tensors take one picture, else why they do not; `who` names what wants one."""
    if len(inputs) != 1:
        return f"it has {len(inputs)} inputs, {who} has one"
    source = inputs[0]
    if len(source.shape) != 4 or source.shape[0] != 1 or not {source.shape[1], source.shape[3]} & set(COLOUR_CHANNELS):
        return f"its input has shape {list(source.shape)}, a picture is [1, height, width, 1 or 3], or channels first"
    if source.dtype not in IMAGE_TYPES:
        return f"its input holds {source.dtype}, pictures are one of {', '.join(IMAGE_TYPES)}"
    if source.dtype != "float32" and not usable_scale(source.scale):
        return f"its input is an integer tensor with the quantisation scale {source.scale}"
    return None


def usable_scale(scale: float | None) -> bool:
    """Whether a tensor's stored integers stand for real values."""
    return scale is not None and math.isfinite(scale) and scale > 0


def input_spec(tensor: Tensor) -> InputSpec:
    """The picture that an input tensor of shape [1, height, width, channels] or [1, channels, height, width] takes."""
    _, height, width, channels = _moved(tensor.shape) if channels_first(tensor) else tensor.shape
    return InputSpec(width, height, channels, tensor.dtype, tensor.scale, tensor.zero_point)


def channels_first(tensor: Tensor) -> bool:
    """Whether a picture's channels come before its rows, as ONNX models have it."""
    return tensor.shape[3] not in COLOUR_CHANNELS and tensor.shape[1] in COLOUR_CHANNELS


def _moved(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    batch, channels, height, width = shape
    return batch, height, width, channels

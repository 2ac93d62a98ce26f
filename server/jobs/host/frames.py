"""What a benchmark feeds to its model: noise, or pictures prepared as the classifier would."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from image_model.preprocess import ImageError, decode, pixel_table, resize, to_tensor
from server.jobs.host.failure import JobFailed
from server.jobs.record.orders import RANDOM_FRAMES, BenchmarkOrder
from server.runtimes.base import Array, Tensor
from server.runtimes.noise import noise
from server.workers.classifier import in_layout, input_spec
from server.workers.messages import ModelSpec

Frame = Sequence[Array]
"""One array an input of the model, batch 1."""


def single_frames(order: BenchmarkOrder, inputs: Sequence[Tensor]) -> list[Frame]:
    """The frames of a benchmark; raises JobFailed for pictures that cannot be used."""
    if order.images:
        if order.classifier is None:
            raise JobFailed("not_a_classifier", "the model takes no picture: measure it with random input")
        return [_image(Path(path), order.classifier, inputs[0], order.max_pixels) for path in order.images]
    source = np.random.default_rng(order.seed)
    return [[noise(source, tensor.shape, tensor.dtype) for tensor in inputs] for _ in range(RANDOM_FRAMES)]


def in_batches(frames: Sequence[Frame], batch: int) -> list[list[Frame]]:
    """Groups of `batch` frames that go through all frames in turn before they repeat."""
    count = len(frames)
    groups = count // math.gcd(count, batch)
    return [[frames[(group * batch + offset) % count] for offset in range(batch)] for group in range(groups)]


def stacked(group: Sequence[Frame]) -> Frame:
    """Frames joined along their first axis, contiguous."""
    return [np.ascontiguousarray(np.concatenate(arrays)) for arrays in zip(*group, strict=True)]


def _image(path: Path, spec: ModelSpec, tensor: Tensor, max_pixels: int) -> Frame:
    source = input_spec(tensor)
    try:
        decoded = decode(
            io.BytesIO(path.read_bytes()), (source.width, source.height), exact=False, max_pixels=max_pixels
        )
    except ImageError as error:
        raise JobFailed("not_an_image", f"picture sha256:{path.name}: {error}") from error
    pixels = resize(decoded.image, source, crop=spec.fit == "crop")
    return [in_layout(to_tensor(pixels, pixel_table(source, spec.input_range)), tensor)]

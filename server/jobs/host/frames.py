"""What a benchmark feeds to its model: noise, or pictures prepared as a request's would be."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from image_model.preprocess import FINE
from server.jobs.host.failure import JobFailed
from server.jobs.record.orders import RANDOM_FRAMES, BenchmarkOrder
from server.runtimes.base import Tensor
from server.runtimes.batching import Frame
from server.runtimes.noise import noise
from server.tasks.base import OrderFailed
from server.tasks.images import ImageInput


def single_frames(order: BenchmarkOrder, inputs: Sequence[Tensor]) -> list[Frame]:
    """The frames of a benchmark; raises JobFailed for pictures that cannot be used."""
    if order.images:
        feed = order.model.image
        if feed is None:
            raise JobFailed("takes_no_image", "the model takes no picture: measure it with random input")
        image = ImageInput(inputs[0], feed.input_range, feed.fit)
        return [_image(Path(path), image, order.max_pixels) for path in order.images]
    source = np.random.default_rng(order.seed)
    return [[noise(source, tensor.shape, tensor.dtype) for tensor in inputs] for _ in range(RANDOM_FRAMES)]


def in_batches(frames: Sequence[Frame], batch: int) -> list[list[Frame]]:
    """Groups of `batch` frames that go through all frames in turn before they repeat."""
    count = len(frames)
    groups = count // math.gcd(count, batch)
    return [[frames[(group * batch + offset) % count] for offset in range(batch)] for group in range(groups)]


def _image(path: Path, image: ImageInput, max_pixels: int) -> Frame:
    try:
        return [image.tensor(image.decode(path.read_bytes(), headroom=FINE, max_pixels=max_pixels))]
    except OrderFailed as error:
        raise JobFailed("not_an_image", f"picture sha256:{path.name}: {error}") from error

"""Random input for models of any shape and type."""

from collections.abc import Sequence

import numpy as np

from server.runtimes.base import Array, Tensor


def noise(source: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    """Uniform over all integers of a type, or over 0 to 1."""
    kind = np.dtype(dtype)
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)
        return source.integers(limits.min, limits.max, shape, kind, endpoint=True)
    if kind == np.bool_:
        return source.random(shape) < 0.5
    return source.random(shape).astype(kind)


def noises(seed: int, tensors: Sequence[Tensor]) -> list[Array]:
    """Noise for each of several inputs, the same for the same seed."""
    source = np.random.default_rng(seed)
    return [noise(source, tensor.shape, tensor.dtype) for tensor in tensors]

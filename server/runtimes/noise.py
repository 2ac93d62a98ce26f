"""Random input for models of any shape and type."""

import numpy as np

from server.runtimes.base import Array


def noise(source: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    """Uniform over all integers of a type, or over 0 to 1."""
    kind = np.dtype(dtype)
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)
        return source.integers(limits.min, limits.max, shape, kind, endpoint=True)
    if kind == np.bool_:
        return source.random(shape) < 0.5
    return source.random(shape).astype(kind)

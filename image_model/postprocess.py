"""From a model's output tensor to ranked classes, as pure functions."""

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]


def dequantise(stored: NDArray[np.generic], scale: float | None, zero_point: int | None) -> Scores:
    """Real values of a tensor: scale x (stored - zero_point), computed in float32; float tensors pass as they are."""
    real = stored.astype(np.float32)
    return real if scale is None else (real - np.float32(zero_point or 0)) * np.float32(scale)


def softmax(logits: Scores) -> Scores:
    """Probabilities of logits, shape kept; shifted by the maximum so that nothing overflows."""
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum(), np.float32)


def top_k(scores: Scores, k: int) -> NDArray[np.intp]:
    """Indices of the k best scores of a vector, best first; equal scores keep the order of their indices."""
    return np.argsort(-scores, kind="stable")[:k]


def look_like_probabilities(scores: Scores) -> bool:
    """Whether a vector can be the output of a softmax or sigmoid layer: within 0 to 1 and summing to about 1."""
    within = bool(np.all((scores >= -0.01) & (scores <= 1.01)))
    return within and abs(float(scores.sum()) - 1.0) < 0.05

"""Output tensors become ranked probabilities."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from image_model.postprocess import Scores, dequantise, look_like_probabilities, softmax, top_k

VECTORS = arrays(np.float32, st.integers(2, 50), elements=st.floats(-80, 80, width=32))


def test_dequantising_widens_before_it_subtracts() -> None:
    """uint8 0 with zero point 58 is negative, not wrapped around."""
    assert dequantise(np.array([0, 58, 255], np.uint8), 0.5, 58).tolist() == [-29.0, 0.0, 98.5]


def test_float_outputs_pass_as_they_are() -> None:
    """Without a scale nothing is computed."""
    values = np.array([0.25, -3.0], np.float32)
    assert np.array_equal(dequantise(values, None, None), values)


@given(VECTORS)
def test_softmax_gives_probabilities_in_the_order_of_the_logits(logits: Scores) -> None:
    """Probabilities sum to one, and larger logits never get smaller ones."""
    scores = softmax(logits)
    assert abs(float(scores.sum()) - 1) < 1e-4
    assert np.all(np.diff(scores[np.argsort(logits)]) >= -1e-7)


def test_softmax_survives_large_logits() -> None:
    """Nothing overflows."""
    assert softmax(np.array([1e30, 0.0], np.float32)).tolist() == [1.0, 0.0]


@given(VECTORS, st.integers(1, 10))
def test_top_k_are_the_best_in_order(scores: Scores, k: int) -> None:
    """No score left out is better than one that is in."""
    best = top_k(scores, k)
    assert len(best) == min(k, len(scores))
    assert np.array_equal(scores[best], np.sort(scores)[::-1][:k])


def test_equal_scores_keep_the_order_of_their_indices() -> None:
    """Ties are broken the same way everywhere."""
    assert top_k(np.zeros(5, np.float32), 3).tolist() == [0, 1, 2]


def test_probabilities_are_told_from_logits() -> None:
    """A softmax's output is recognised, logits and non-numbers are not taken for one."""
    assert look_like_probabilities(softmax(np.arange(5, dtype=np.float32)))
    assert not look_like_probabilities(np.arange(5, dtype=np.float32))
    assert not look_like_probabilities(np.array([np.nan, 1.0], np.float32))

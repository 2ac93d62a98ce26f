"""Of boxes that overlap the best is kept, exactly as one box after the other would have it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_model.detection import Candidates, suppress
from image_model.detection.suppression import BLOCK, intersection_over_union
from tests.image_model.detection import reference
from tests.image_model.detection.reference import floats


def candidates(count: int, seed: int, *, spread: float = 100) -> Candidates:
    """Boxes of whole pixels, best first, with ties."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, int(spread), (count, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 40, (count, 2))], axis=1).astype(np.float32)
    scores = np.sort(rng.integers(1, 20, count) / np.float32(20)).astype(np.float32)[::-1]
    return Candidates(boxes, scores, rng.integers(0, 3, count).astype(np.intp))


def as_list(found: Candidates) -> list[reference.Found]:
    """The same as the reference has it."""
    left, top, right, bottom = found.boxes.T.tolist()
    boxes = zip(left, top, right, bottom, strict=True)
    return list(zip(boxes, found.scores.tolist(), found.classes.tolist(), strict=True))


@pytest.mark.parametrize("class_wise", [True, False])
@pytest.mark.parametrize(("count", "spread"), [(0, 100), (1, 100), (BLOCK - 1, 60), (BLOCK + 1, 60), (3 * BLOCK, 900)])
def test_suppression_is_the_plain_loops(count: int, spread: float, class_wise: bool) -> None:
    """Within a block of candidates and over several, with and without regard to classes."""
    given_candidates = candidates(count, seed=count, spread=spread)
    kept = suppress(given_candidates, 0.45, 300, class_wise=class_wise)
    assert as_list(kept) == reference.suppress(as_list(given_candidates), 0.45, 300, class_wise=class_wise)


@settings(deadline=None)
@given(
    count=st.integers(0, 60),
    seed=st.integers(0, 1000),
    threshold=st.sampled_from([0.0, 0.3, 1.0]),
    limit=st.integers(1, 9),
)
def test_any_threshold_and_limit(count: int, seed: int, threshold: float, limit: int) -> None:
    """With threshold 1 nothing is dropped but by the limit; with 0 nothing that is kept touches."""
    given_candidates = candidates(count, seed)
    kept = as_list(suppress(given_candidates, threshold, limit))
    assert kept == reference.suppress(as_list(given_candidates), threshold, limit)


def test_boxes_that_only_touch_do_not_overlap() -> None:
    """Nor do boxes without an area."""
    boxes = floats([[0, 0, 10, 10], [10, 0, 20, 10], [5, 5, 5, 5]])
    assert np.array_equal(intersection_over_union(boxes, boxes), np.diag([1, 1, 0]))

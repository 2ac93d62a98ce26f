"""Outputs of detectors become candidates, and nothing that a model puts there does more than raise ValueError."""

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contract.tasks import BoxCoordinates as Coordinates
from contract.tasks import DetectionForm as Form
from image_model.detection import Candidates, read
from image_model.detection.reading import CANDIDATES_MAX, Floats
from tests.image_model.detection import reference
from tests.image_model.detection.reference import floats

SIZE = (320, 192)
PLACES = 40 * 24 + 20 * 12 + 10 * 6
CLASSES = 3


def yolo_head(form: Form, seed: int = 0) -> Floats:
    """Places with boxes in pixels [places, numbers], one in ten of which is sure of its class."""
    rng = np.random.default_rng(seed)
    centres, sizes = rng.uniform(0, SIZE, (PLACES, 2)), rng.uniform(4, 90, (PLACES, 2))
    scores = rng.uniform(0, 0.2, (PLACES, CLASSES))
    sure = rng.random(PLACES) < 0.1
    scores[sure, rng.integers(0, CLASSES, sure.sum())] = rng.uniform(0.5, 1, sure.sum())
    parts = [centres, sizes, scores] if form is Form.YOLO_V8 else [centres, sizes, rng.random((PLACES, 1)), scores]
    return floats(np.concatenate(parts, axis=1))


def found_in(form: Form, *outputs: Any, min_score: float = 0.25, **options: Any) -> Candidates:
    """`read` with the settings of these tests; arrays may be written as lists."""
    return read(
        form,
        [floats(output) for output in outputs],
        **{"input_size": SIZE, "min_score": min_score, "coordinates": Coordinates.NORMALISED, **options},
    )


def assert_same(found: Candidates, expected: list[reference.Found]) -> None:
    """Boxes within a tenth of a pixel, equal classes, equal order."""
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.boxes, [box for box, _, _ in expected], atol=0.1)
    np.testing.assert_allclose(found.scores, [score for _, score, _ in expected], rtol=1e-5)
    assert found.classes.tolist() == [index for _, _, index in expected]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("coordinates", Coordinates)
@pytest.mark.parametrize("form", [Form.YOLO_V5, Form.YOLO_V8])
def test_yolo_heads_read_as_one_place_after_the_other(form: Form, coordinates: Coordinates, transposed: bool) -> None:
    """Both heads, in both orders and both units, give the boxes of a plain loop."""
    head = yolo_head(form)
    if coordinates is Coordinates.NORMALISED:
        head[:, :4] /= floats([*SIZE, *SIZE])
    unit = SIZE if coordinates is Coordinates.NORMALISED else (1, 1)
    expected = reference.read_yolo(head.tolist(), objectness=form is Form.YOLO_V5, min_score=0.25, unit=unit)
    places_last = (form is Form.YOLO_V8) != transposed
    found = found_in(form, (head.T if places_last else head)[np.newaxis], coordinates=coordinates)
    assert_same(found, expected)


def test_ssd_reads_top_first_and_no_more_than_the_count() -> None:
    """Boxes come as top, left, bottom, right; rows behind the count are leftovers."""
    boxes = [[[0.25, 0.1, 0.5, 0.3], [0, 0, 1, 1], [float("nan")] * 4]]
    found = found_in(Form.TFLITE_POSTPROCESS, boxes, [[2, 7, 1e9]], [[0.5, 0.75, float("nan")]], [2])
    np.testing.assert_allclose(found.boxes, [[0, 0, 320, 192], [32, 48, 96, 96]], rtol=1e-6)
    assert found.classes.tolist() == [7, 2]
    assert found.scores.tolist() == [0.75, 0.5]


def test_the_orders_of_ssd_give_the_same_candidates() -> None:
    """As the operator orders its outputs, as TensorFlow 2 does, and by name."""
    boxes, classes, scores, count = [[[0.1, 0.2, 0.3, 0.4]] * 2], [[1, 0]], [[0.9, 1]], [2]
    usual = found_in(Form.TFLITE_POSTPROCESS, boxes, classes, scores, count)
    other = found_in(Form.TFLITE_POSTPROCESS, scores, boxes, count, classes)
    named = found_in(Form.TFLITE_POSTPROCESS, count, scores, classes, boxes, names=["count", "score", "class", "box"])
    for found in (usual, other, named):
        assert (found.scores.tolist(), found.classes.tolist()) == ([1, pytest.approx(0.9)], [0, 1])


def test_detection_output_ends_at_image_minus_one() -> None:
    """Rows behind the one of image -1 are leftovers; boxes are left, top, right, bottom; classes are rounded."""
    rows = [[0, 3, 0.5, 0.25, 0, 0.5, 1], [0, 0.996, 0.9, 0, 0, 1, 0.5], [-1, 0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1, 1]]
    found = found_in(Form.DETECTION_OUTPUT, [[rows]])
    assert found.boxes.tolist() == [[0, 0, 320, 96], [80, 0, 160, 192]]
    assert found.classes.tolist() == [1, 3]


@pytest.mark.parametrize("form", [Form.YOLO_V5, Form.YOLO_V8])
def test_equal_scores_keep_the_models_order(form: Form) -> None:
    """Also where more than CANDIDATES_MAX are equally good."""
    head = np.tile(floats([10, 10, 4, 4, 1, 0.5]), (CANDIDATES_MAX + 500, 1))
    head[:, 0] = np.arange(len(head)) / 20
    head[-1, 4:] = 0.75, 0.75
    if form is Form.YOLO_V8:
        head = np.delete(head, 4, axis=1)
    found = found_in(form, head[np.newaxis], coordinates=Coordinates.PIXELS)
    centres = found.boxes[:, [0, 2]].mean(axis=1)
    assert len(found) == CANDIDATES_MAX
    assert centres[0] == pytest.approx((len(head) - 1) / 20)
    np.testing.assert_allclose(centres[1:], np.arange(CANDIDATES_MAX - 1) / 20, atol=1e-3)


def test_boxes_without_an_area_are_left_out_and_large_ones_bounded() -> None:
    """Negative and empty boxes are no boxes; one of 1e30 pixels reaches as far beyond the input as it is large."""
    places = [[10, 10, -4, 4, 0.9], [10, 10, 0, 4, 0.9], [10, 10, 4, 4, 0.9], [0, 0, 1e30, 1e30, 0.8]]
    found = found_in(Form.YOLO_V8, [np.transpose(places)], coordinates=Coordinates.PIXELS, class_count=1)
    assert found.boxes.tolist() == [[8, 8, 12, 12], [-320, -192, 640, 384]]


@pytest.mark.parametrize(
    ("form", "outputs", "said"),
    [
        (Form.YOLO_V8, [np.full((1, 7, 60), 12.5)], "reach 12.5"),
        (Form.YOLO_V8, [np.full((1, 7, 60), np.nan)], "hold NaN"),
        (Form.YOLO_V8, [np.full((1, 7, 60), np.inf)], "reach inf"),
        (Form.YOLO_V5, [np.full((1, 60, 8), np.nan)], "hold NaN"),
        (Form.YOLO_V8, [np.zeros((1, 4, 60))], "no room for a class"),
        (Form.YOLO_V8, [np.zeros((1, 60))], r"shape \[1, 60\]"),
        (Form.YOLO_V8, [np.zeros((2, 7, 60))], r"shape \[2, 7, 60\]"),
        (Form.YOLO_V8, [np.zeros((1, 7, 60))] * 2, "there are 2"),
        (Form.DETECTION_OUTPUT, [np.zeros((1, 200, 7))], r"there is \[1, 200, 7\]"),
        (Form.DETECTION_OUTPUT, [[[[[0, 1, 5, 0, 0, 1, 1]]]]], "reach 5"),
        (Form.DETECTION_OUTPUT, [[[[[0, -1, 0.9, 0, 0, 1, 1]]]]], "no index of a class"),
        (Form.DETECTION_OUTPUT, [[[[[0, 1e12, 0.9, 0, 0, 1, 1]]]]], "no index of a class"),
        (Form.DETECTION_OUTPUT, [[[[[0, np.nan, 0.9, 0, 0, 1, 1]]]]], "no index of a class"),
        (Form.DETECTION_OUTPUT, [[[[[0, 1, 0.9, 0, 0, np.nan, 1]]]]], "boxes hold NaN"),
        (
            Form.TFLITE_POSTPROCESS,
            [np.zeros((1, 2, 4)), np.zeros((1, 2)), np.zeros((1, 2)), [3]],
            "count of 3",
        ),
        (
            Form.TFLITE_POSTPROCESS,
            [np.zeros((1, 2, 4)), np.zeros((1, 2)), np.zeros((1, 2)), [np.nan]],
            "count of nan",
        ),
        (Form.TFLITE_POSTPROCESS, [np.zeros((1, 2, 4)), np.zeros((1, 2)), np.zeros((1, 2))], "3 outputs"),
        (Form.TFLITE_POSTPROCESS, [np.zeros((1, 2, 4)), np.zeros((1, 9)), np.zeros((1, 2)), [0]], "as many"),
    ],
)
def test_what_cannot_be_read_is_said(form: Form, outputs: list[Any], said: str) -> None:
    """Broken and unfinished models get a sentence that names the fault."""
    with pytest.raises(ValueError, match=said):
        found_in(form, *outputs)


ANY_FLOAT = st.floats(width=32)
SHAPES: dict[Form, list[tuple[int, ...]]] = {
    Form.TFLITE_POSTPROCESS: [(1, 6, 4), (1, 6), (1, 6), (1,)],
    Form.DETECTION_OUTPUT: [(1, 1, 6, 7)],
    Form.YOLO_V5: [(1, 9, 7)],
    Form.YOLO_V8: [(1, 6, 9)],
}


@settings(deadline=None)
@given(data=st.data(), form=st.sampled_from(Form), coordinates=st.sampled_from(Coordinates))
def test_hostile_numbers_give_candidates_or_a_value_error(
    data: st.DataObject, form: Form, coordinates: Coordinates
) -> None:
    """Whatever floats a model puts out: boxes are ordered and bounded, scores 0 to 1, or ValueError says why not."""
    elements = st.one_of(ANY_FLOAT, st.floats(0, 1, width=32), st.sampled_from([0.0, 1.0, 3.0]))
    outputs = [data.draw(arrays(np.float32, shape, elements=elements)) for shape in SHAPES[form]]
    with contextlib.suppress(ValueError):
        found = found_in(form, *outputs, coordinates=coordinates)
        assert np.all(found.boxes[:, :2] < found.boxes[:, 2:])
        assert np.all((found.boxes >= [-320, -192, -320, -192]) & (found.boxes <= [640, 384, 640, 384]))
        assert np.all((found.scores >= 0.25) & (found.scores <= 1))
        assert np.all(np.diff(found.scores) <= 0)
        assert np.all(found.classes >= 0)

"""What a model's outputs are is told from their signature, and never told of a classifier's."""

import pytest

from contract.tasks import BoxCoordinates as Coordinates
from contract.tasks import DetectionForm as Form
from image_model.detection import OutputSpec, guess_coordinates, recognise
from image_model.detection.roles import PostprocessRoles, postprocess_roles

SIZE = (640, 640)
BOXES, PAIR, COUNT = (1, 10, 4), (1, 10), (1,)
POSTPROCESS = [BOXES, PAIR, PAIR, COUNT]
OPERATOR = ["TFLite_Detection_PostProcess" + suffix for suffix in ("", ":1", ":2", ":3")]
CONVERTER = [f"StatefulPartitionedCall:{number}" for number in (1, 3, 0, 2)]


def outputs(*shapes: tuple[int, ...], dtype: str = "float32", names: list[str] | None = None) -> list[OutputSpec]:
    """Output tensors of these shapes."""
    return [OutputSpec(names[i] if names else f"output{i}", shape, dtype) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("shape", "size", "labels", "form", "classes"),
    [
        ((1, 84, 8400), (640, 640), None, Form.YOLO_V8, 80),
        ((1, 8400, 84), (640, 640), None, Form.YOLO_V8, 80),  # transposed
        ((1, 25200, 85), (640, 640), None, Form.YOLO_V5, 80),
        ((1, 85, 25200), (640, 640), 80, Form.YOLO_V5, 80),  # transposed
        ((1, 5, 8400), (640, 640), 1, Form.YOLO_V8, 1),  # number plates
        ((1, 6, 2100), (320, 320), 2, Form.YOLO_V8, 2),
        ((1, 84, 336), (128, 128), None, Form.YOLO_V8, 80),  # 84 is also 8 x 8 + 4 x 4 + 2 x 2 places
        ((1, 336, 84), (128, 128), 332, Form.YOLO_V8, 332),  # and with as many labels it is
        ((1, 84, 6300), (640, 480), None, Form.YOLO_V8, 80),
        ((1, 102000, 85), (1280, 1280), None, Form.YOLO_V5, 80),  # four strides
        ((1, 34000, 84), (640, 640), None, Form.YOLO_V8, 80),  # from stride 4 on
        ((1, 2535, 85), (416, 416), None, Form.YOLO_V5, 80),  # YOLOv3-tiny: two strides
        ((1, 14, 256), (128, 128), 10, Form.YOLO_V8, 10),  # one stride, which labels confirm
    ],
)
def test_yolo_heads_are_told_by_places_and_labels(
    shape: tuple[int, ...], size: tuple[int, int], labels: int | None, form: Form, classes: int
) -> None:
    """The number of places follows from the input's size and tells v5 from v8, whichever axis it is on."""
    found = recognise(size, outputs(shape), labels)
    assert (found.form, found.class_count) == (form, classes), found.reason


@pytest.mark.parametrize(
    ("shapes", "labels"),
    [
        ([(1, 1000)], 1000),  # classifiers
        ([(1, 1001)], None),
        ([(1, 1, 1, 1000)], 1000),
        ([(1, 1, 1, 7)], 7),  # seven moods, not one row of DetectionOutput
        ([(1, 7, 1, 1)], 7),
        ([(1, 80, 80, 21)], 21),  # segmentation
        ([(1, 21, 640, 640)], 21),
        ([(1, 6400, 21)], 21),
        ([(1, 1600, 768)], None),  # features of a vision transformer with patches of 16 pixels
        ([(1, 116, 8400), (1, 32, 160, 160)], 80),  # YOLO with masks
        ([(1, 56, 8400)], 1),  # YOLO with poses: 51 numbers of key points
        ([(1, 84, 8123)], 80),  # no head on 640 x 640
        ([(8, 84, 8400)], 80),  # eight pictures
        ([(1, 8400, 8400)], None),  # as many numbers as places
        ([(1, 300, 6)], 80),  # end-to-end YOLO, boxes already chosen
        ([(1, 4, 8400)], None),  # boxes alone
        ([(1, 10, 4), (1, 10), (1, 10)], None),
        ([(1, 10, 4), (1, 10), (1, 12), (1,)], None),
        ([(1, 10, 5), (1, 10), (1, 10), (1,)], None),
        ([(1, 10, 4)] * 4, None),
        ([(4, 10, 4), (4, 10), (4, 10), (4,)], None),
        ([(1, 100, 7)], None),
        ([], None),
    ],
)
def test_other_outputs_are_no_detectors(shapes: list[tuple[int, ...]], labels: int | None) -> None:
    """Classifiers, segmentation, features and detectors of other forms are left alone, with a reason in words."""
    found = recognise(SIZE, outputs(*shapes), labels)
    assert found.form is None
    assert len(found.reason) > 20


def test_outputs_that_are_no_real_numbers_are_named() -> None:
    """Integer outputs cannot be scores."""
    found = recognise(SIZE, outputs((1, 84, 8400), dtype="int64", names=["boxes"]))
    assert found.form is None
    assert "boxes (int64)" in found.reason


def test_a_head_with_more_numbers_than_labels_says_what_it_may_be() -> None:
    """With one label, 56 numbers are a pose's."""
    assert "52 numbers beside box" in recognise(SIZE, outputs((1, 56, 8400)), 1).reason


@pytest.mark.parametrize("rows", [200, 0, -1])
def test_detection_output_is_told_by_its_rows(rows: int) -> None:
    """Rows of seven numbers, also where their number is not known before a run."""
    assert recognise(SIZE, outputs((1, 1, rows, 7))).form is Form.DETECTION_OUTPUT


@pytest.mark.parametrize(
    ("shapes", "names", "roles"),
    [
        (POSTPROCESS, OPERATOR, (0, 1, 2, 3)),
        (POSTPROCESS, [], (0, 1, 2, 3)),  # by the position of the count
        ([PAIR, BOXES, COUNT, PAIR], CONVERTER, (1, 3, 0, 2)),  # as TensorFlow 2 converts
        ([PAIR, BOXES, COUNT, PAIR], [], (1, 3, 0, 2)),
        ([BOXES, PAIR, PAIR, COUNT], ["detection_boxes", "detection_scores", "detection_classes", "n"], (0, 2, 1, 3)),
        ([COUNT, PAIR, PAIR, BOXES], [f"StatefulPartitionedCall:{n}" for n in range(4)], (3, 2, 1, 0)),
        ([(-1, -1, 4), (-1, -1), (-1, -1), (-1,)], ["boxes:0", "classes:0", "scores:0", "num:0"], (0, 1, 2, 3)),
        ([(1, 1, 4), (1, 1), (1, 1), (1,)], OPERATOR, (0, 1, 2, 3)),
        ([BOXES, PAIR, PAIR, ()], OPERATOR, (0, 1, 2, 3)),
    ],
)
def test_the_four_outputs_of_ssd_come_in_any_order(
    shapes: list[tuple[int, ...]], names: list[str], roles: tuple[int, ...]
) -> None:
    """Boxes and count are told by shape, classes and scores by name, else by where the count is."""
    assert postprocess_roles(shapes, names) == PostprocessRoles(*roles)
    assert recognise((300, 300), outputs(*shapes, names=names or None)).form is Form.TFLITE_POSTPROCESS


def test_an_order_that_cannot_be_told_is_refused() -> None:
    """Classes and scores are never confused for want of a name."""
    found = recognise((300, 300), outputs(COUNT, PAIR, PAIR, BOXES))
    assert found.form is None
    assert "cannot be told" in found.reason


@pytest.mark.parametrize(
    ("form", "model_format", "output", "expected"),
    [
        (Form.TFLITE_POSTPROCESS, "tflite", OutputSpec("x", BOXES), Coordinates.NORMALISED),
        (Form.DETECTION_OUTPUT, "openvino", OutputSpec("x", (1, 1, 200, 7)), Coordinates.NORMALISED),
        (Form.YOLO_V8, "tflite", OutputSpec("x", (1, 84, 8400)), Coordinates.NORMALISED),
        (Form.YOLO_V8, "onnx", OutputSpec("x", (1, 84, 8400)), Coordinates.PIXELS),
        (Form.YOLO_V5, "openvino", OutputSpec("x", (1, 25200, 85)), Coordinates.PIXELS),
        (Form.YOLO_V8, "tflite", OutputSpec("x", (1, 84, 8400), "int8", 2.6, -128), Coordinates.PIXELS),
        (Form.YOLO_V8, "onnx", OutputSpec("x", (1, 84, 8400), "uint8", 1 / 255, 0), Coordinates.NORMALISED),
    ],
)
def test_the_unit_of_boxes_is_guessed_from_what_bounds_it(
    form: Form, model_format: str, output: OutputSpec, expected: Coordinates
) -> None:
    """The form tells, else what a quantised output can hold, else the habit of exporters."""
    found, reason = guess_coordinates(form, model_format, [output])
    assert found is expected
    assert reason

"""The forms that detectors' outputs have, and how one is recognised by the model's signature alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from contract.tasks import BoxCoordinates, DetectionForm
from image_model.detection.roles import PostprocessRoles, postprocess_roles
from image_model.preprocess import Size

BOX_NUMBERS = 4
OBJECTNESS_NUMBERS = 1
ANCHORS = 3
"""Boxes that a YOLOv5 head predicts at each place."""
DETECTION_NUMBERS = 7
"""Numbers in a row of OpenVINO's DetectionOutput: image, class, score and four edges."""
STRIDES = (4, 8, 16, 32, 64)
"""Pixels of the input between two places of a YOLO head, finest first; a head uses consecutive ones."""
REAL_TYPES = ("float32", "float16", "int8", "uint8", "int16")
"""Types of outputs that hold real numbers, as they are or quantised."""
NORMALISED_MAX = 2.0
"""A quantised output that cannot store more than this holds shares of the input's sides, not pixels."""


def first_class(form: DetectionForm) -> int:
    """Index of the first class's score among the numbers that a YOLO head has for each place."""
    return BOX_NUMBERS + (OBJECTNESS_NUMBERS if form is DetectionForm.YOLO_V5 else 0)


@dataclass(frozen=True)
class OutputSpec:
    """An output tensor as the runtime reports it; a size of -1 is not known before a run."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class Recognition:
    """What a model's outputs are taken for."""

    form: DetectionForm | None
    """None for outputs that are no detector's, or of a form that is not read."""
    reason: str
    """What tells so, in a sentence without its full stop."""
    class_count: int | None = None
    """Classes of a YOLO head; None for forms that do not tell."""


def recognise(input_size: Size, outputs: Sequence[OutputSpec], class_count: int | None = None) -> Recognition:
    """Tell the form of a detector's outputs by their number, shapes, types and names.

    `input_size` is the width and height of the model's input, and `class_count` the number of its labels where it has
    any: labels settle what shapes leave open, and speak against a form whose number of classes is another.
    """
    if unread := [f"{output.name} ({output.dtype})" for output in outputs if output.dtype not in REAL_TYPES]:
        return Recognition(None, f"outputs that hold no real numbers: {', '.join(unread)}")
    shapes = [output.shape for output in outputs]
    if len(outputs) == 4:
        return _as_postprocess(shapes, [output.name for output in outputs])
    if len(outputs) != 1:
        return Recognition(
            None, f"{len(outputs)} outputs, where detectors that can be read have one, or the four of SSD"
        )
    if len(shapes[0]) == 4:
        return _as_detection_output(shapes[0])
    return _as_yolo(shapes[0], input_size, class_count)


def guess_coordinates(
    form: DetectionForm, model_format: str, outputs: Sequence[OutputSpec]
) -> tuple[BoxCoordinates, str]:
    """The unit that a model's boxes probably have, and why; the model's description may say otherwise.

    Both SSD forms are normalised by definition. Of YOLO heads the tensors do not tell, unless quantisation bounds
    them; exporters write normalised boxes to TFLite and pixels to everything else.
    """
    if form.suppressed:
        return BoxCoordinates.NORMALISED, "boxes of this form are normalised"
    limit = _largest_value(outputs[0])
    if limit is not None:
        found = BoxCoordinates.NORMALISED if limit <= NORMALISED_MAX else BoxCoordinates.PIXELS
        return found, f"the quantised output holds values up to {limit:.3g}"
    if model_format == "tflite":
        return BoxCoordinates.NORMALISED, "YOLO models in TFLite files usually have normalised boxes"
    return BoxCoordinates.PIXELS, f"YOLO models in {model_format} files usually have boxes in pixels"


def yolo_axes(form: DetectionForm, shape: Sequence[int], class_count: int | None = None) -> tuple[int, int]:
    """Which axis of a YOLO output runs over places and which over the numbers of a place.

    Exports are sometimes transposed: the number of classes tells, else the longer axis is taken for the places.
    Raises ValueError for shapes that no YOLO head has.
    """
    if len(shape) != 3 or shape[0] != 1:
        raise ValueError(f"a YOLO head has one output [1, ..., ...], and this one has shape {list(shape)}")
    usual = (1, 2) if form is DetectionForm.YOLO_V5 else (2, 1)
    confirmed = [] if class_count is None else [a for a in (1, 2) if shape[a] == class_count + first_class(form)]
    if len(confirmed) == 1:
        return 3 - confirmed[0], confirmed[0]
    if shape[1] == shape[2]:
        return usual
    return (1, 2) if shape[1] > shape[2] else (2, 1)


def _as_postprocess(shapes: Sequence[Sequence[int]], names: Sequence[str]) -> Recognition:
    roles = postprocess_roles(shapes, names)
    if isinstance(roles, PostprocessRoles):
        return Recognition(DetectionForm.TFLITE_POSTPROCESS, f"four outputs: {roles}")
    return Recognition(None, roles)


def _as_detection_output(shape: Sequence[int]) -> Recognition:
    batch, one, rows, numbers = shape
    if (batch, one, numbers) == (1, 1, DETECTION_NUMBERS) and rows != 1:
        return Recognition(
            DetectionForm.DETECTION_OUTPUT, f"one output {list(shape)}: rows of {DETECTION_NUMBERS} numbers"
        )
    return Recognition(
        None, f"one output {list(shape)} is no list of boxes: DetectionOutput has [1, 1, rows, {DETECTION_NUMBERS}]"
    )


def _as_yolo(shape: Sequence[int], input_size: Size, class_count: int | None) -> Recognition:
    if len(shape) != 3 or shape[0] != 1 or min(shape[1:]) < 1:
        return Recognition(None, f"one output {list(shape)}: a YOLO head has [1, places, numbers], or transposed")
    for form in (DetectionForm.YOLO_V8, DetectionForm.YOLO_V5):
        places, numbers = (shape[axis] for axis in yolo_axes(form, shape, class_count))
        classes = numbers - first_class(form)
        confirmed = classes == class_count
        possible = classes >= 1 and (places > numbers or confirmed)
        if possible and _form_of_places(places, input_size, single=confirmed) is form:
            return _checked_yolo(form, places, classes, class_count)
    width, height = input_size
    return Recognition(
        None,
        f"one output {list(shape)}: neither size is the number of places that a YOLO head has on {width} x {height}"
        + (f", or no head of {class_count} classes" if class_count is not None else ""),
    )


def _checked_yolo(form: DetectionForm, places: int, classes: int, class_count: int | None) -> Recognition:
    if class_count is not None and class_count != classes:
        return Recognition(
            None,
            f"the head has {classes} numbers beside box and objectness, and there are {class_count} labels: "
            "heads for poses, masks or turned boxes are not read",
        )
    return Recognition(form, f"{places} places with a box and {classes} {_classes(classes)} each", classes)


def _classes(count: int) -> str:
    return "class" if count == 1 else "classes"


def _form_of_places(places: int, input_size: Size, *, single: bool) -> DetectionForm | None:
    """The form whose head has so many places; heads of one stride count only where `single`."""
    width, height = input_size
    for first in range(len(STRIDES)):
        cells = 0
        for last, stride in enumerate(STRIDES[first:]):
            cells += math.ceil(width / stride) * math.ceil(height / stride)
            if last == 0 and not single:
                continue
            if places in (cells, ANCHORS * cells):
                return DetectionForm.YOLO_V8 if places == cells else DetectionForm.YOLO_V5
    return None


def _largest_value(output: OutputSpec) -> float | None:
    """The largest real number that a quantised output can hold; None for a float output."""
    if output.scale is None or not output.dtype.endswith("int8"):
        return None
    stored = 127 if output.dtype == "int8" else 255
    return (stored - (output.zero_point or 0)) * output.scale

"""From a detector's output arrays to candidates in pixels of the model's input.

A model may put any numbers there: what cannot be boxes, scores or classes raises ValueError in words.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.tasks import BoxCoordinates, DetectionForm
from image_model.detection.candidates import Boxes, Candidates, areas
from image_model.detection.forms import DETECTION_NUMBERS, first_class, yolo_axes
from image_model.detection.roles import postprocess_roles
from image_model.preprocess import Size

CANDIDATES_MAX = 3000
"""Of more, the best are kept before overlapping boxes are suppressed."""
CLASS_MAX = 1_000_000
SCORE_TOLERANCE = 0.01
"""Quantised and half-precision scores end a little above 1; they are taken as 1."""

Floats = NDArray[np.float32]


def read(
    form: DetectionForm,
    outputs: Sequence[Floats],
    *,
    input_size: Size,
    min_score: float,
    coordinates: BoxCoordinates,
    names: Sequence[str] = (),
    class_count: int | None = None,
) -> Candidates:
    """Read what a detector found with a score of at least `min_score`, the best CANDIDATES_MAX of it.

    `outputs` are real numbers (dequantised) in the model's order and `names` their names; `input_size` is the width
    and height of the model's input, to which boxes may reach beyond by as much again. A place of a YOLO head counts
    once, with its best class. Boxes without an area are left out.

    Raises ValueError, in words, for arrays of other shapes than the form's, scores that are not 0 to 1, classes that
    are no index, and boxes that are NaN or infinite.
    """
    candidates = _READERS[form](form, outputs, min_score, names, class_count)
    if not np.isfinite(candidates.boxes).all():
        raise ValueError("the model's boxes hold NaN or infinite values")
    best = candidates.take(_best_first(candidates.scores))
    width, height = input_size
    size = np.array([width, height, width, height], np.float32)
    unit = size if coordinates is BoxCoordinates.NORMALISED else np.ones_like(size)
    boxes = np.clip(best.boxes, -size / unit, 2 * size / unit) * unit
    found = Candidates(boxes, np.minimum(best.scores, np.float32(1)), best.classes)
    return found.take((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (areas(boxes) > 0))


def _read_postprocess(
    form: DetectionForm, outputs: Sequence[Floats], min_score: float, names: Sequence[str], class_count: int | None
) -> Candidates:
    roles = postprocess_roles([output.shape for output in outputs], names)
    if isinstance(roles, str):
        raise ValueError(roles)
    valid = _count(float(outputs[roles.count].reshape(-1)[0]), outputs[roles.boxes].shape[1])
    top, left, bottom, right = outputs[roles.boxes][0, :valid].T
    scores, classes = (outputs[index][0, :valid] for index in (roles.scores, roles.classes))
    _check_scores(scores)
    kept = scores >= min_score
    boxes = np.stack([left, top, right, bottom], axis=1)[kept]
    return Candidates(boxes, scores[kept], _class_indices(classes[kept]))


def _count(stated: float, rows: int) -> int:
    if not 0 <= stated <= rows:  # NaN compares as false
        raise ValueError(f"the model states a count of {stated:g} boxes and has room for {rows}")
    return int(stated)


def _read_detection_output(
    form: DetectionForm, outputs: Sequence[Floats], min_score: float, names: Sequence[str], class_count: int | None
) -> Candidates:
    if len(outputs) != 1 or outputs[0].shape[-1:] != (DETECTION_NUMBERS,) or outputs[0].ndim != 4:
        shapes = ", ".join(str(list(output.shape)) for output in outputs)
        raise ValueError(f"DetectionOutput has one output [1, 1, rows, {DETECTION_NUMBERS}], and there is {shapes}")
    rows = outputs[0].reshape(-1, DETECTION_NUMBERS)
    ends = np.flatnonzero(~(rows[:, 0] >= 0))  # the row after the last has image -1
    rows = rows[: ends[0]] if len(ends) else rows
    _check_scores(rows[:, 2])
    rows = rows[rows[:, 2] >= min_score]
    return Candidates(rows[:, 3:7], rows[:, 2], _class_indices(rows[:, 1]))


def _read_yolo(
    form: DetectionForm, outputs: Sequence[Floats], min_score: float, names: Sequence[str], class_count: int | None
) -> Candidates:
    if len(outputs) != 1:
        raise ValueError(f"a YOLO head has one output, and there are {len(outputs)}")
    places, _ = yolo_axes(form, outputs[0].shape, class_count)
    head = outputs[0][0] if places == 2 else outputs[0][0].T  # [numbers, places]
    if len(head) <= first_class(form):
        raise ValueError(f"a head of {len(head)} numbers has no room for a class")
    scores = head[4] if form is DetectionForm.YOLO_V5 else head[4:].max(axis=0)
    _check_scores(scores)
    chosen = np.compress(scores >= min_score, outputs[0][0], axis=places - 1)
    return _best_classes(form, chosen if places == 2 else chosen.T, min_score)


def _best_classes(form: DetectionForm, head: Floats, min_score: float) -> Candidates:
    """One candidate for each place of a head [numbers, places], with its best class."""
    of_classes = head[first_class(form) :]
    classes = of_classes.argmax(axis=0)
    scores = of_classes[classes, np.arange(len(classes))]
    if form is DetectionForm.YOLO_V5:
        _check_scores(scores)
        with np.errstate(invalid="ignore", over="ignore"):  # what is no number is below every score
            scores = scores * head[4]
    kept = scores >= min_score
    return Candidates(_from_centres(head[:4, kept]), scores[kept], classes[kept])


def _from_centres(head: Floats) -> Boxes:
    centres, sizes = head[:2], head[2:]
    with np.errstate(invalid="ignore", over="ignore"):  # what becomes of it is checked
        return np.concatenate([centres - sizes / 2, centres + sizes / 2]).T


def _check_scores(scores: Floats) -> None:
    """NaN is found by the maximum; many exports leave out the sigmoid, and their scores are any number."""
    if not len(scores):
        return
    highest = float(scores.max())
    if not highest <= 1 + SCORE_TOLERANCE:
        what = "hold NaN" if np.isnan(highest) else f"reach {highest:g}"
        raise ValueError(f"the model's scores {what}: they must be 0 to 1, so export it with its last sigmoid")


def _class_indices(stored: Floats) -> NDArray[np.intp]:
    """Class numbers as integers; quantised ones may be off by less than a half."""
    if not np.all((stored > -0.5) & (stored < CLASS_MAX)):
        raise ValueError("the model's classes hold numbers that are no index of a class")
    return np.rint(stored).astype(np.intp)


def _best_first(scores: Floats) -> NDArray[np.intp]:
    """Indices of the best CANDIDATES_MAX, best first; equal scores in the model's order."""
    chosen = np.arange(len(scores))
    if len(scores) > CANDIDATES_MAX:
        least = np.partition(scores, -CANDIDATES_MAX)[-CANDIDATES_MAX]
        better, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        chosen = np.concatenate([better, equal[: CANDIDATES_MAX - len(better)]])
    return chosen[np.argsort(-scores[chosen], kind="stable")]


_READERS = {
    DetectionForm.TFLITE_POSTPROCESS: _read_postprocess,
    DetectionForm.DETECTION_OUTPUT: _read_detection_output,
    DetectionForm.YOLO_V5: _read_yolo,
    DetectionForm.YOLO_V8: _read_yolo,
}

"""Average precision of a detector, as COCO defines it (Lin and others, ECCV 2014; `pycocotools.cocoeval`).

In plain Python: who evaluates a device from elsewhere needs no numpy.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge in pixels."""

DETECTIONS_MAX = 100
"""Detections of a class that count in a picture, the best ones."""
_STEP = (0.95 - 0.5) / 9
IOU_THRESHOLDS = (*(0.5 + _STEP * index for index in range(9)), 0.95)
"""Overlaps from which on a detection is right: 0.5, 0.55, ... 0.95, to the last bit as numpy's linspace has them."""
RECALLS = (*(0.01 * index for index in range(100)), 1.0)
"""Recalls at which the precision is read off: 0, 0.01, ... 1."""


@dataclass(frozen=True)
class Truth:
    """A thing that is in a picture."""

    box: Box
    class_index: int


@dataclass(frozen=True)
class Detection:
    """A thing that a model says is in a picture."""

    box: Box
    class_index: int
    score: float


@dataclass(frozen=True)
class Picture:
    """What is in a picture, and what was found there."""

    truths: Sequence[Truth]
    detections: Sequence[Detection]


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision, 0 to 1, over the classes of which there is anything to find."""

    map_50_95: float
    """COCO's mAP: the mean over the overlaps from 0.5 to 0.95."""
    map_50: float
    map_75: float
    by_class: Mapping[int, float]
    """The mean over the overlaps for each class."""


def average_precision(pictures: Sequence[Picture]) -> AveragePrecision | None:
    """Measure detections against the truth; None where no picture holds anything.

    Of equal scores the first counts first, in the order of the pictures and of their detections.
    """
    classes = sorted({truth.class_index for picture in pictures for truth in picture.truths})
    if not classes:
        return None
    precisions = {index: _precisions(index, pictures) for index in classes}

    def mean_at(place: int) -> float:
        return _mean([precisions[index][place] for index in classes])

    by_class = {index: _mean(values) for index, values in precisions.items()}
    return AveragePrecision(_mean(list(by_class.values())), mean_at(0), mean_at(5), by_class)


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes; 0 for boxes without an area."""
    across = min(first[2], second[2]) - max(first[0], second[0])
    down = min(first[3], second[3]) - max(first[1], second[1])
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (_area(first) + _area(second) - across * down)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _precisions(class_index: int, pictures: Sequence[Picture]) -> list[float]:
    """Average precision of a class at each of IOU_THRESHOLDS."""
    count = 0
    judged: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for picture in pictures:
        truths = [truth.box for truth in picture.truths if truth.class_index == class_index]
        found = [each for each in picture.detections if each.class_index == class_index]
        best = sorted(found, key=lambda each: -each.score)[:DETECTIONS_MAX]
        overlaps = [[overlap(each.box, box) for box in truths] for each in best]
        count += len(truths)
        for place, threshold in enumerate(IOU_THRESHOLDS):
            right = _matched(overlaps, len(truths), threshold)
            judged[place] += [(each.score, ok) for each, ok in zip(best, right, strict=True)]
    return [_interpolated(judged[place], count) for place in range(len(IOU_THRESHOLDS))]


def _matched(overlaps: Sequence[Sequence[float]], truths: int, threshold: float) -> list[bool]:
    """Whether each detection, best first, finds a thing that no better one has found, taking the one it fits best."""
    taken = [False] * truths
    right = []
    for row in overlaps:
        fitting = [index for index in range(truths) if not taken[index] and row[index] >= threshold]
        if fitting:
            taken[max(fitting, key=lambda index: (row[index], index))] = True
        right.append(bool(fitting))
    return right


def _interpolated(judged: Sequence[tuple[float, bool]], count: int) -> float:
    """Mean precision over RECALLS; the precision at a recall is the best at that recall or a greater one."""
    curve: list[tuple[float, float]] = []
    hits = 0
    for seen, (_, right) in enumerate(sorted(judged, key=lambda each: -each[0]), 1):
        hits += right
        curve.append((hits / count, hits / seen))
    best, at_recall = 0.0, []
    for recall in reversed(RECALLS):
        while curve and curve[-1][0] >= recall:
            best = max(best, curve.pop()[1])
        at_recall.append(best)
    return _mean(at_recall)

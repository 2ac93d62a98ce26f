"""Detection, one box after the other in plain Python: what the vectorised functions are compared with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
Found = tuple[Box, float, int]
"""Left, top, right, bottom; score; class."""


def floats(values: Any) -> NDArray[np.float32]:
    """Numbers as the functions take them."""
    return np.array(values, np.float32)


def read_yolo(
    places: Sequence[Sequence[float]], *, objectness: bool, min_score: float, unit: Sequence[float]
) -> list[Found]:
    """Boxes of a YOLO head, given as one row of numbers a place, best first."""
    found: list[Found] = []
    for numbers in places:
        x, y, width, height = (value * unit[axis % 2] for axis, value in enumerate(numbers[:4]))
        classes = list(numbers[5 if objectness else 4 :])
        best = max(range(len(classes)), key=lambda index: classes[index])
        score = classes[best] * (numbers[4] if objectness else 1)
        if score >= min_score and width > 0 and height > 0:
            found.append(((x - width / 2, y - height / 2, x + width / 2, y + height / 2), score, best))
    return sorted(found, key=lambda each: -each[1])


def overlap(first: Box, second: Box) -> float:
    """Intersection over union."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return shared / (sum(areas) - shared)


def suppress(found: Sequence[Found], threshold: float, count_max: int, *, class_wise: bool = True) -> list[Found]:
    """Greedy non-maximum suppression."""
    kept: list[Found] = []
    for box, score, index in found:
        rivals = [other for other, _, its in kept if its == index or not class_wise]
        if all(overlap(box, other) <= threshold for other in rivals):
            kept.append((box, score, index))
    return kept[:count_max]

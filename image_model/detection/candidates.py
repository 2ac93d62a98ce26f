"""Boxes with their scores and classes: what each stage of detection hands to the next."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""Shape [n, 4]: left, top, right and bottom edge; the first pixel reaches from 0 to 1."""


@dataclass(frozen=True)
class Candidates:
    """What a detector found, best first; of equal scores the first in the model's order."""

    boxes: Boxes
    scores: NDArray[np.float32]
    """Shape [n], 0 to 1."""
    classes: NDArray[np.intp]
    """Shape [n], index of each box's class."""

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, indices: NDArray[np.intp] | NDArray[np.bool_]) -> "Candidates":
        """Some of them, by index or by mask."""
        return Candidates(self.boxes[indices], self.scores[indices], self.classes[indices])


def areas(boxes: Boxes) -> NDArray[np.float32]:
    """Area of each box in square pixels."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float32)

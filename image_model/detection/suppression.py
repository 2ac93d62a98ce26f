"""Non-maximum suppression: of boxes that overlap, the best one is kept."""

import numpy as np
from numpy.typing import NDArray

from image_model.detection.candidates import Boxes, Candidates, areas

IOU_THRESHOLD = 0.45
MAX_DETECTIONS = 300
BLOCK = 256
"""Candidates that are compared with each other at a time."""


def suppress(
    candidates: Candidates,
    iou_threshold: float = IOU_THRESHOLD,
    max_detections: int = MAX_DETECTIONS,
    *,
    class_wise: bool = True,
) -> Candidates:
    """Keep the best candidate and drop those that overlap it by more than the threshold, and so on (greedy).

    With `class_wise`, boxes of another class stay. `candidates` are best first, as `read` gives them, and so is what
    is returned. Time grows with candidates times boxes kept.
    """
    kept = candidates.take(np.arange(0))
    for start in range(0, len(candidates), BLOCK):
        block = candidates.take(np.arange(start, min(start + BLOCK, len(candidates))))
        block = block.take(~_overlapping(kept, block, iou_threshold, class_wise=class_wise).any(axis=0))
        block = block.take(_greedy(_overlapping(block, block, iou_threshold, class_wise=class_wise)))
        kept = _joined(kept, block)
        if len(kept) >= max_detections:
            break
    return kept.take(np.arange(min(len(kept), max_detections)))


def _overlapping(first: Candidates, second: Candidates, threshold: float, *, class_wise: bool) -> NDArray[np.bool_]:
    """Whether candidates of two sets overlap by more than the threshold, shape [n, m]."""
    overlap = intersection_over_union(first.boxes, second.boxes) > threshold
    return overlap & (first.classes[:, np.newaxis] == second.classes) if class_wise else overlap


def _greedy(overlapping: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Indices of candidates that no better one that is kept overlaps."""
    dropped = np.zeros(len(overlapping), np.bool_)
    kept = []
    for index, row in enumerate(overlapping):
        if not dropped[index]:
            kept.append(index)
            dropped |= row
    return np.array(kept, np.intp)


def _joined(first: Candidates, second: Candidates) -> Candidates:
    return Candidates(
        np.concatenate([first.boxes, second.boxes]),
        np.concatenate([first.scores, second.scores]),
        np.concatenate([first.classes, second.classes]),
    )


def intersection_over_union(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """Overlap of each box of one set with each of another, shape [n, m]: shared area by the area of both together."""
    left, top, right, bottom = first.T[:, :, np.newaxis]
    across = np.minimum(right, second[:, 2]) - np.maximum(left, second[:, 0])
    down = np.minimum(bottom, second[:, 3]) - np.maximum(top, second[:, 1])
    shared = np.maximum(across, 0) * np.maximum(down, 0)
    together = areas(first)[:, np.newaxis] + areas(second) - shared
    return np.asarray(np.divide(shared, together, out=np.zeros_like(shared), where=together > 0), np.float32)

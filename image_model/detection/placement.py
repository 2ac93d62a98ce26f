"""Where a picture lay on the model's input, and boxes brought back from there into pixels of its file."""

from dataclasses import dataclass

import numpy as np

from image_model.detection.candidates import Boxes, Candidates
from image_model.orientation import stored_edges, upright_size
from image_model.preprocess import Decoded, Fitting, Size, fitted

REDUCTIONS = (1, 2, 4, 8)
"""Pixels of a JPEG file that become one when it is decoded reduced, on either side."""


@dataclass(frozen=True)
class Placement:
    """How the picture of a file came to lie on a model's input."""

    file_size: Size
    """Width and height as the file declares them, before EXIF orientation."""
    orientation: int
    """EXIF orientation that was applied, 1 to 8."""
    fitting: Fitting
    reduction: int = 1
    """Pixels of the file to one that was decoded, on either side."""

    @classmethod
    def of(cls, decoded: Decoded, input_size: Size, fit: str) -> "Placement":
        """The placement of a decoded picture that `resize` brings to an input by a fit."""
        upright = upright_size(decoded.size, decoded.orientation)
        reduction = next((by for by in REDUCTIONS if _reduced(upright, by) == decoded.image.size), 1)
        return cls(decoded.size, decoded.orientation, fitted(decoded.image.size, input_size, fit), reduction)


def _reduced(size: Size, by: int) -> Size:
    """Size after reduced decoding: parts of a block at the right and lower edge count as one."""
    return -(-size[0] // by), -(-size[1] // by)


def to_upright(boxes: Boxes, placement: Placement) -> Boxes:
    """Boxes [n, 4] on the model's input as boxes on the upright picture, in pixels of full size, clipped to it."""
    source, target = (np.array(box, np.float64) for box in (placement.fitting.source, placement.fitting.target))
    scale = (source[2:] - source[:2]) / (target[2:] - target[:2]) * placement.reduction
    offset = source[:2] * placement.reduction - target[:2] * scale
    width, height = upright_size(placement.file_size, placement.orientation)
    moved = boxes * np.tile(scale, 2) + np.tile(offset, 2)
    return np.clip(moved, 0, [width, height, width, height]).astype(np.float32)


def to_original(boxes: Boxes, placement: Placement) -> Boxes:
    """Boxes [n, 4] on the model's input in pixels of the file's own grid, clipped to it: EXIF orientation is undone.

    A box that lies wholly beside the picture, on a letterbox's border, comes back without an area.
    """
    left, top, right, bottom = to_upright(boxes, placement).T
    return np.stack(stored_edges((left, top, right, bottom), placement.file_size, placement.orientation), axis=1)


def place(candidates: Candidates, placement: Placement) -> Candidates:
    """What was found, in pixels of the file's own grid; what lies wholly beside the picture is left out."""
    boxes = to_original(candidates.boxes, placement)
    within = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Candidates(boxes, candidates.scores, candidates.classes).take(within)

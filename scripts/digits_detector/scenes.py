"""Scenes: sheets of paper with handwritten digits, shadows, noise and clutter, and where each digit is.

Drawn with Pillow from the 8x8 pictures of scikit-learn's digits, the same for the same seed. The digits classifier's
held-out pictures are used for held-out scenes alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from sklearn.datasets import load_digits

from scripts.digits_model.__main__ import HELD_OUT

Generator = np.random.Generator
Plane = NDArray[np.float32]

SIDES = (160, 320)
"""Shortest and longest side of a scene in pixels."""
DIGITS_MAX = 8
HEIGHT_SHARES = (0.13, 0.36)
"""Least and greatest height of a digit, as shares of the longer side."""
TURN_DEGREES = 12.0
INK_MIN = 0.3
"""Least share of ink in a pixel that belongs to a digit's box."""
ATTEMPTS = 12
"""Places that are tried for a digit before it is left out."""
MARGIN = 2
"""Pixels between the boxes of two digits at least."""


@dataclass(frozen=True)
class Scene:
    """A picture in grey, and its digits."""

    pixels: NDArray[np.uint8]
    """Shape [height, width]."""
    boxes: Plane
    """Shape [n, 4]: left, top, right and bottom edge in pixels."""
    digits: NDArray[np.intp]

    @property
    def image(self) -> Image.Image:
        """The scene as Pillow has it."""
        return Image.fromarray(self.pixels)


class SceneDrawer:
    """Draws scenes with training or held-out digits."""

    def __init__(self, *, held_out: bool, seed: int) -> None:
        digits = load_digits()
        chosen = slice(-HELD_OUT, None) if held_out else slice(None, -HELD_OUT)
        self.inks = (digits.images[chosen] / 16).astype(np.float32)
        """Shares of ink of the pictures it draws with [n, 8, 8]."""
        self._labels = digits.target[chosen].astype(np.intp)
        self._rng = np.random.default_rng(seed)

    def draw(self, count_max: int = DIGITS_MAX) -> Scene:
        """The next scene."""
        rng = self._rng
        width, height = (int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, 2))
        paper = _paper(rng, width, height)
        sheet = _with_clutter(rng, paper)
        boxes: list[tuple[int, int, int, int]] = []
        digits = []
        for _ in range(rng.integers(0, count_max + 1)):
            chosen = int(rng.integers(len(self.inks)))
            ink = _ink(rng, self.inks[chosen], max(width, height))
            place = _free_place(rng, ink.shape, (width, height), boxes)
            if place is not None:
                boxes.append(_paint(rng, sheet, paper, ink, place))
                digits.append(self._labels[chosen])
        sheet = sheet + rng.normal(0, rng.uniform(0, 9), sheet.shape)
        pixels = np.clip(np.round(sheet), 0, 255).astype(np.uint8)
        return Scene(pixels, np.array(boxes, np.float32).reshape(-1, 4), np.array(digits, np.intp))


def _paper(rng: Generator, width: int, height: int) -> Plane:
    """Paper under uneven light: a shade, a slope across the sheet, and soft patches."""
    down, across = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    slope = rng.uniform(-45, 45, 2)
    coarse = rng.normal(0, rng.uniform(0, 8), (4, 4)).astype(np.float32)
    patches = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return np.asarray(rng.uniform(150, 245) + slope[0] * across + slope[1] * down + patches, np.float32)


def _with_clutter(rng: Generator, paper: Plane) -> Plane:
    """Ruled and stray lines, blots, and strokes that look like letters."""
    height, width = paper.shape
    stain = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(stain)
    for _ in range(rng.integers(0, 5)):
        ends = rng.uniform(0, 1, 4) * (width, height, width, height)
        pen.line(ends.tolist(), fill=int(rng.integers(60, 200)), width=int(rng.integers(1, 4)))
    for _ in range(rng.integers(0, 4)):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(2, 14)
        flat = rng.uniform(0.5, 1)
        pen.ellipse((x - radius, y - radius * flat, x + radius, y + radius * flat), fill=int(rng.integers(60, 220)))
    for _ in range(rng.integers(0, 6)):
        _stroke(rng, pen, width, height)
    soft = np.asarray(stain.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2))), np.float32) / 255
    return np.asarray(paper - soft * rng.uniform(40, 150), np.float32)


def _stroke(rng: Generator, pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Two or three straight strokes that meet, as of a K, L, V, X or Z."""
    size = rng.uniform(*HEIGHT_SHARES) * max(width, height)
    corner = rng.uniform(0, (width, height))
    points = corner + rng.uniform(0, 1, (int(rng.integers(2, 5)), 2)) * (0.7 * size, size)
    shade = int(rng.integers(120, 255))
    pen.line(
        [tuple(point) for point in points.tolist()], fill=shade, width=max(1, round(size * rng.uniform(0.06, 0.16)))
    )


def _ink(rng: Generator, ink: Plane, longer_side: int) -> Plane:
    """A digit's share of ink in each pixel, at its size on the scene, turned a little, cut to its box."""
    low, high = np.log(np.array(HEIGHT_SHARES) * longer_side)
    size = round(float(np.exp(rng.uniform(low, high))) * 10 / 8)
    across = round(size * rng.uniform(0.85, 1.15))
    padded = Image.fromarray(np.pad(ink, 1)).resize((across, size), Image.Resampling.BICUBIC)
    turned = padded.rotate(rng.uniform(-TURN_DEGREES, TURN_DEGREES), Image.Resampling.BICUBIC)
    dense = np.clip(np.asarray(turned) * 1.3 - 0.1, 0, 1)
    rows, columns = (np.flatnonzero((dense > INK_MIN).any(axis=axis)) for axis in (1, 0))
    return np.asarray(dense[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.float32)


def _free_place(
    rng: Generator, shape: tuple[int, ...], size: tuple[int, int], taken: list[tuple[int, int, int, int]]
) -> tuple[int, int] | None:
    """Left and top edge of a place that no other digit has; None where none was found."""
    for _ in range(ATTEMPTS):
        left, top = (int(rng.integers(0, room - side + 1)) for room, side in zip(size, shape[::-1], strict=True))
        right, bottom = left + shape[1], top + shape[0]
        if all(
            left >= box[2] + MARGIN or right + MARGIN <= box[0] or top >= box[3] + MARGIN or bottom + MARGIN <= box[1]
            for box in taken
        ):
            return left, top
    return None


def _paint(rng: Generator, sheet: Plane, paper: Plane, ink: Plane, place: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top = place
    right, bottom = left + ink.shape[1], top + ink.shape[0]
    under = paper[top:bottom, left:right]
    shade = np.maximum(under - rng.uniform(70, 200), 0)
    cover = ink * rng.uniform(0.75, 1)
    sheet[top:bottom, left:right] = sheet[top:bottom, left:right] * (1 - cover) + shade * cover
    return left, top, right, bottom

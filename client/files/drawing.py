"""Pictures with boxes drawn on them. Boxes are a stranger's numbers: they are kept within the picture."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from client.errors import EdgeError
from client.sdk.replies import name_of
from contract.detect import Box, Detection

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which people of all kinds of sight tell apart; by class."""
LINE_SHARE = 250
"""Of a picture's longer side, one part in so many is the width of a line."""
TEXT_LINES = 7
"""Height of a label in widths of a line."""
LABEL_CHARS_MAX = 40

Edges = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def check_drawable(target: Path | None, *, one: bool) -> None:
    """Raise BadParameter for a file that no picture can be written to."""
    if target is not None and one and not target.is_dir() and target.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"--draw {target}: its name must end in one of {', '.join(SUFFIXES)}")


def draw_boxes(image: bytes, detections: Sequence[Detection], target: Path) -> None:
    """Write a picture with boxes, labels and scores, upright; raises EdgeError.

    Boxes are in pixels of the file as it is stored, before EXIF orientation.
    """
    try:
        from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps
    except ImportError:
        raise EdgeError("--draw needs Pillow", hint="it comes with the extra `client`: scripts/setup") from None
    try:
        stored = Image.open(io.BytesIO(image))
        orientation = stored.getexif().get(ExifTags.Base.Orientation, 1)
        canvas = ImageOps.exif_transpose(stored).convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise EdgeError(f"the picture cannot be drawn on: {error}") from error
    line = max(2, max(canvas.size) // LINE_SHARE)
    draw = ImageDraw.Draw(canvas)
    draw.font = ImageFont.load_default(line * TEXT_LINES)
    for found in reversed(detections):  # the best on top
        _draw_one(draw, canvas.size, found, upright(found.box_px, stored.size, orientation), line)
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        canvas.save(part, format=Image.registered_extensions()[target.suffix.lower()])
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EdgeError(f"{target}: {error.strerror or error}") from error


def upright(box: Box, size: tuple[int, int], orientation: int) -> Edges:
    """A box in pixels of the file as edges on the picture as it is shown, by its EXIF orientation."""
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    width, height = size
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation >= 5 else (left, top, right, bottom)


def _draw_one(draw: "ImageDraw", size: tuple[int, int], found: Detection, edges: Edges, line: int) -> None:
    colour = COLOURS[found.index % len(COLOURS)]
    left, top, right, bottom = (min(max(0.0, edge), side) for edge, side in zip(edges, (*size, *size), strict=True))
    if right <= left or bottom <= top:
        return
    draw.rectangle((left, top, right, bottom), outline=colour, width=line)
    text = f"{name_of(found)[:LABEL_CHARS_MAX]} {found.score:.2f}"
    _, _, width, height = draw.textbbox((0, 0), text)
    x = max(0.0, min(left, size[0] - width - 2 * line))
    y = top - height - line if top >= height + line else top
    draw.rectangle((x, y, x + width + 2 * line, y + height + line), fill=colour)
    draw.text((x + line, y), text, fill="white")

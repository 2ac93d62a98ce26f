"""Pictures with boxes drawn on them. Boxes and labels are a stranger's: they are kept within the picture."""

import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from client.errors import EdgeError
from client.files.images import ImageSource
from client.files.saved import file_name
from client.sdk.replies import name_of
from contract.detect import Box, Detection
from contract.text import visible
from image_model.orientation import upright_edges

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageDraw import ImageDraw

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FORMATS = ("JPEG", "PNG", "WEBP")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which people of all kinds of sight tell apart; by class."""
DARK_TEXT_FROM = 140
"""Luminance, 0 to 255, of the colours that black is easier to read on than white."""
LINE_SHARE = 250
"""Of a picture's longer side, one part in so many is the width of a line."""
TEXT_LINES = 7
"""Height of a label in widths of a line."""
LABEL_CHARS_MAX = 40
JPEG_QUALITY = 95
PIXELS_MAX = 100_000_000
"""A larger picture is not opened: in memory it would take a gigabyte. No agent takes one either."""

Edges = tuple[float, float, float, float]
"""Left, top, right and bottom."""

_DECODER_FAULTS = (
    *(OSError, SyntaxError, EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError),
    *(struct.error, MemoryError),
)
"""What Pillow raises for files that are damaged or too large."""


class NotDrawable(EdgeError):
    """The place that was named takes no drawn picture."""

    exit_code = 2


Targets = dict[tuple[str, str], Path]
"""Which file the picture of a host and a source is drawn to."""


def drawing_targets(target: Path, sources: Sequence[ImageSource], hosts: Sequence[str]) -> Targets:
    """Which file each picture is drawn to, on each host; raises NotDrawable.

    A name that ends as a picture's is the file for the only picture; any other name is a folder.
    """
    only = len(sources) * len(hosts) == 1
    if target.is_dir() or not target.suffix:
        if target.is_file():
            raise NotDrawable(f"--draw {target}: a file is there", hint="name a folder, or a .png file")
        targets = dict(_in_folder(target, sources, hosts))
    elif target.suffix.lower() not in SUFFIXES:
        raise NotDrawable(f"--draw {target}: its name must end in {', '.join(SUFFIXES)}, or in nothing for a folder")
    elif not only:
        raise NotDrawable(
            f"--draw {target}: one file cannot take {len(sources) * len(hosts)} pictures", hint="name a folder"
        )
    else:
        targets = {(hosts[0], sources[0].name): target}
    originals = {source.path.resolve(): source for source in sources if source.path is not None}
    for each in targets.values():
        if each.resolve() in originals:
            raise NotDrawable(f"--draw {target}: {each} is a picture to look at", hint="name another file or folder")
    return targets


def _in_folder(
    folder: Path, sources: Sequence[ImageSource], hosts: Sequence[str]
) -> Iterator[tuple[tuple[str, str], Path]]:
    """A file for each picture and host, with a number where their names would be the same."""
    taken = set[str]()
    for source in sources:
        for host in hosts:
            stem = Path(source.name).stem + (f"-{file_name(host)}" if len(hosts) > 1 else "")
            name, number = stem, 1
            while name in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name)
            yield (host, source.name), folder / f"{name}.png"


def draw_boxes(image: bytes, detections: Sequence[Detection], target: Path) -> None:
    """Write a picture with boxes, labels and scores, upright; raises EdgeError.

    Boxes are in pixels of the file as it is stored, before EXIF orientation.
    """
    try:
        from PIL import ImageDraw, ImageFont
    except ImportError:
        raise EdgeError("--draw needs Pillow", hint="it comes with the extra `client`: scripts/setup") from None
    canvas, stored_size, orientation = _opened(image)
    line = max(2, max(canvas.size) // LINE_SHARE)
    draw = ImageDraw.Draw(canvas)
    draw.font = ImageFont.load_default(line * TEXT_LINES)
    for found in reversed(detections):  # the best on top
        _draw_one(draw, canvas.size, found, upright(found.box_px, stored_size, orientation), line)
    _save(canvas, target)


def _opened(image: bytes) -> tuple["Picture", tuple[int, int], int]:
    """A picture upright in RGB, the size of its file's grid, and its EXIF orientation; raises EdgeError."""
    from PIL import ExifTags, Image, ImageOps

    try:
        stored = Image.open(io.BytesIO(image), formats=FORMATS)
        if stored.width * stored.height > PIXELS_MAX:
            size = f"{stored.width} x {stored.height}"
            raise ValueError(f"it has {size} pixels, and at most {PIXELS_MAX / 1e6:.0f} million are opened")
        orientation = stored.getexif().get(ExifTags.Base.Orientation, 1)
        canvas = ImageOps.exif_transpose(stored)
        if canvas.mode.startswith("I"):  # 16 bits
            canvas = canvas.convert("I").point(lambda value: value / 257).convert("L")
        if canvas.has_transparency_data:  # shown on white, as the agent does
            canvas = Image.alpha_composite(Image.new("RGBA", canvas.size, "white"), canvas.convert("RGBA"))
        return canvas.convert("RGB"), stored.size, orientation
    except (*_DECODER_FAULTS, Image.DecompressionBombError) as error:
        raise EdgeError(f"the picture cannot be drawn on: {error}") from error


def _save(canvas: "Picture", target: Path) -> None:
    """Write a picture whole or not at all; raises EdgeError."""
    from PIL import Image

    part = target.with_name(f".{target.name}.part")
    options = {"quality": JPEG_QUALITY} if target.suffix.lower() in (".jpg", ".jpeg") else {}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            canvas.save(part, format=Image.registered_extensions()[target.suffix.lower()], **options)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        because = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise EdgeError(f"{target} cannot be written: {because}") from error


def upright(box: Box, size: tuple[int, int], orientation: int) -> Edges:
    """A box in pixels of the file as edges on the picture as it is shown, by its EXIF orientation."""
    return upright_edges((box.left, box.top, box.right, box.bottom), size, orientation)


def _draw_one(draw: "ImageDraw", size: tuple[int, int], found: Detection, edges: Edges, line: int) -> None:
    """Draw the outline on the outermost pixels that the box holds, and the label above it, or in it at the top."""
    left, top, right, bottom = (
        round(min(max(0.0, edge), side)) for edge, side in zip(edges, (*size, *size), strict=True)
    )
    if right <= left or bottom <= top:
        return
    colour = COLOURS[found.index % len(COLOURS)]
    draw.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=line)
    name = visible(name_of(found))
    text = f"{name if len(name) <= LABEL_CHARS_MAX else name[: LABEL_CHARS_MAX - 1] + '…'} {found.score:.2f}"
    _, _, width, height = draw.textbbox((0, 0), text)
    x = max(0.0, min(left, size[0] - width - 2 * line))
    y = top - height - line if top >= height + line else top
    draw.rectangle((x, y, x + width + 2 * line, y + height + line), fill=colour)
    draw.text((x + line, y), text, fill=_text_on(colour))


def _text_on(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue >= DARK_TEXT_FROM else "white"

"""From the bytes of a picture to the tensor a model reads, as pure functions.

decode (limits, EXIF orientation, optional reduced JPEG decoding) -> resize (bicubic, by one of FITS) -> tensor
(a table of 256 values a channel, so float and quantised inputs share one path).
"""

import re
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    ExifTags,
    Image,
    ImageOps,
    JpegImagePlugin,  # noqa: F401  (importing a plug-in registers its format: nothing is left to import at the first picture)
    PngImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

FORMATS = ("JPEG", "PNG", "WEBP")
_SIGNATURES = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP", re.DOTALL)
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit would warn first and fail late; `decode` checks its caller's
_DECODER_FAULTS = (OSError, SyntaxError, EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError)
"""What Pillow's decoders raise on damaged data; its own error types derive from these."""

DECODER_BLOCK_BYTES = 1 << 20
"""What a decoder is given at a time. Pillow's own 64 KiB make it stop and go on ten times in an ordinary photo."""

LETTERBOX_GREY = 114
"""The grey of a letterbox's border, which the YOLO family is trained with."""

Size = tuple[int, int]
"""Width and height in pixels."""

FINE = 2
"""Headroom at which a reduced JPEG still classifies as the whole one does; 1 is the least."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge in pixels: the first pixel reaches from 0 to 1."""


class ImageError(ValueError):
    """A picture that cannot be used.

    PictureError
    +- NotAnImage      not JPEG, PNG or WebP
    +- TruncatedImage  one of these, but cut off or damaged
    +- TooManyPixels   larger than allowed; refused before any pixel was decoded
    """


class NotAnImage(ImageError):
    """The bytes are not a JPEG, PNG or WebP picture."""


class TruncatedImage(ImageError):
    """The picture is cut off or damaged."""


class TooManyPixels(ImageError):
    """The picture has more pixels than allowed."""


@dataclass(frozen=True)
class Decoded:
    """A picture in memory, upright, and what was done to get it there."""

    image: Image.Image
    format: str
    size: Size
    """The size as the file declares it, before EXIF orientation."""
    orientation: int
    reduced: bool
    coarse: bool = False
    """Whether it was decoded at less than twice the target on a side."""


@dataclass(frozen=True)
class InputSpec:
    """The input tensor: pixels wide and high, channels, and how its numbers are stored."""

    width: int
    height: int
    channels: int
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


def decode(file: BinaryIO, target: Size, *, headroom: int | None, max_pixels: int) -> Decoded:
    """Decode the first frame of a JPEG, PNG or WebP picture, upright.

    With a headroom, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as both sides stay at least so many
    times `target`: with 2 five times faster on 12-megapixel pictures, at most 0.5 logit away (docs/performance.md).

    Raises NotAnImage, TruncatedImage, TooManyPixels.
    """
    image = _open(file)
    size, format_name = image.size, image.format or "unknown"
    if size[0] * size[1] > max_pixels:
        megapixels = size[0] * size[1] / 1e6
        raise TooManyPixels(
            f"{size[0]} x {size[1]} = {megapixels:.1f} megapixels, at most {max_pixels / 1e6:g} are allowed"
        )
    try:
        orientation = _orientation(image)
        towards = target if orientation < 5 else (target[1], target[0])
        reduced = headroom is not None and _draft(image, towards, headroom)
        coarse = reduced and (image.width < FINE * towards[0] or image.height < FINE * towards[1])
        image.load()
        upright = ImageOps.exif_transpose(image) if orientation != 1 else image
    except _DECODER_FAULTS as error:
        raise TruncatedImage(f"the {format_name} picture is cut off or damaged: {error}") from error
    return Decoded(upright, format_name, size, orientation, reduced, coarse)


def _open(file: BinaryIO) -> Image.Image:
    if not _SIGNATURES.match(file.read(12)):
        raise NotAnImage("the bytes are not a JPEG, PNG or WebP picture")
    file.seek(0)
    try:
        image = Image.open(file, formats=FORMATS)
        image.decodermaxblock = DECODER_BLOCK_BYTES
        return image
    except _DECODER_FAULTS as error:
        raise TruncatedImage("the picture is cut off or damaged within its header") from error


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if value in range(1, 9) else 1


def _draft(image: Image.Image, target: Size, headroom: int) -> bool:
    before = image.size
    image.draft(None, (headroom * target[0], headroom * target[1]))
    return image.size != before


def resize(image: Image.Image, spec: InputSpec, *, fit: str = "stretch") -> NDArray[np.uint8]:
    """Bring a decoded picture to the model's shape, bicubic, by one of FITS.

    Transparent pixels are shown on white; 16-bit pictures are reduced to 8 bits.
    Returns pixels 0 to 255 of shape [height, width, channels]; raises ValueError for an unknown fit.
    """
    flat = _in_mode(image, "L" if spec.channels == 1 else "RGB")
    fitting = fitted(flat.size, (spec.width, spec.height), fit)
    left, top, right, bottom = fitting.target
    small = flat.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=fitting.source)
    if small.size != (spec.width, spec.height):
        border = Image.new(flat.mode, (spec.width, spec.height), (LETTERBOX_GREY,) * spec.channels)
        border.paste(small, (left, top))
        small = border
    return np.asarray(small).reshape(spec.height, spec.width, spec.channels)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray((np.asarray(image, np.float64) / 257).clip(0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert(mode)


@dataclass(frozen=True)
class Fitting:
    """Which part of an upright picture fills which part of the model's input."""

    source: Box
    """In pixels of the picture."""
    target: tuple[int, int, int, int]
    """Left, top, right and bottom edge in whole pixels of the input; around it lies the border of a letterbox."""


def fitted(size: Size, target: Size, fit: str) -> Fitting:
    """Where a picture of `size` comes to lie on an input of size `target`; raises ValueError for an unknown fit."""
    if fit not in FITS:
        raise ValueError(f"{fit!r} is no way to fit a picture: {', '.join(FITS)}")
    return FITS[fit](size, target)


def _stretched(size: Size, target: Size) -> Fitting:
    return Fitting((0, 0, *size), (0, 0, *target))


def _cropped(size: Size, target: Size) -> Fitting:
    (width, height), (across, down) = size, target
    scale = min(width / across, height / down)
    left, top = (width - across * scale) / 2, (height - down * scale) / 2
    return Fitting((left, top, width - left, height - top), (0, 0, *target))


def _letterboxed(size: Size, target: Size) -> Fitting:
    """The whole picture in its shape, centred; of an odd border the smaller half is left and top, as in YOLO."""
    scale = min(target[0] / size[0], target[1] / size[1])
    width, height = (max(1, round(side * scale)) for side in size)
    left, top = (target[0] - width) // 2, (target[1] - height) // 2
    return Fitting((0, 0, *size), (left, top, left + width, top + height))


FITS = {"stretch": _stretched, "crop": _cropped, "letterbox": _letterboxed}
"""Ways to bring a picture of another shape to the input's, by the names that a model's description has for them."""


def pixel_table(spec: InputSpec, input_range: tuple[float, float] | list[tuple[float, float]]) -> NDArray[np.generic]:
    """Stored value for each pixel value 0 to 255: shape [256] or, with one range a channel, [256, channels].

    `input_range` gives the real values of black and white. Quantised inputs follow
    stored = round(real / scale + zero_point), the inverse of the TFLite quantisation specification.
    """
    low, high = np.asarray(input_range, np.float64).T
    real: NDArray[np.float64] = low + np.multiply.outer(np.arange(256) / 255.0, high - low)
    if spec.scale is None:
        return np.asarray(real, spec.dtype)
    limits = np.iinfo(spec.dtype)
    stored = np.round(real / spec.scale + (spec.zero_point or 0))
    return np.asarray(stored.clip(limits.min, limits.max), spec.dtype)


def legacy_pixel_table(spec: InputSpec) -> NDArray[np.generic]:
    """The CHI@Edge teaching notebook's mapping: pixel / 255 / scale, truncated, zero point ignored.

    It feeds the network a darker picture of half the range. Kept so that old results can be compared.
    Raises ValueError unless the input is uint8 with a scale.
    """
    if spec.dtype != "uint8" or not spec.scale:
        raise ValueError(f"the notebook's mapping is defined for quantised uint8 inputs, not {spec.dtype}")
    return np.asarray((np.arange(256) / 255.0 / spec.scale).clip(0, 255), np.uint8)


def to_tensor(pixels: NDArray[np.uint8], table: NDArray[np.generic]) -> NDArray[np.generic]:
    """Map pixels of shape [height, width, channels] through a pixel table to a tensor [1, height, width, channels]."""
    if table.ndim == 1:
        return np.asarray(table[pixels])[np.newaxis]
    return np.asarray(table[pixels, np.arange(pixels.shape[-1])])[np.newaxis]


def is_identity(table: NDArray[np.generic]) -> bool:
    """Whether the table stores each pixel as itself, so that the mapping can be skipped."""
    return table.dtype == np.uint8 and table.ndim == 1 and bool(np.array_equal(table, np.arange(256)))

"""Boxes come back from the model's input to the pixels of the file, however the picture was turned and fitted."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from image_model.detection import Candidates, Placement, place, to_original, to_upright
from image_model.preprocess import FINE, FITS, InputSpec, decode, resize
from tests.image_model.detection.reference import floats
from tests.images import encoded

INPUT = InputSpec(160, 96, 3, "uint8")
INPUT_SIZE = (INPUT.width, INPUT.height)
FILE_SIZE = (300, 200)
MARKED = (120, 50, 170, 110)
"""Left, top, right and bottom of the one white box of a picture, within what every fit keeps of it."""


def drawing(size: tuple[int, int] = FILE_SIZE, box: tuple[int, int, int, int] = MARKED) -> Image.Image:
    """A white box on black."""
    image = Image.new("RGB", size, "black")
    image.paste((255, 255, 255), box)
    return image


def with_orientation(image: Image.Image, orientation: int, format_name: str = "PNG", **options: object) -> bytes:
    """A file whose EXIF data say how its picture is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, format_name, exif=exif, **options)


def white_box(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[float, float, float, float]:
    """Edges of what is white, to a part of a pixel: half-covered pixels count by their brightness."""
    light = np.clip((pixels[..., 0].astype(np.float64) - 128) / 127, 0, 1) > 0
    across, down = np.flatnonzero(light.any(axis=0)), np.flatnonzero(light.any(axis=1))
    return across[0], down[0], across[-1] + 1, down[-1] + 1


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_seen_on_the_input_is_the_one_in_the_file(orientation: int, fit: str) -> None:
    """For each orientation and fit, what is white on the input is white in the file, within a pixel of the input."""
    data = with_orientation(drawing(), orientation)
    decoded = decode(io.BytesIO(data), INPUT_SIZE, headroom=None, max_pixels=10**6)
    seen = white_box(resize(decoded.image, INPUT, fit=fit))
    boxes = to_original(floats([seen]), Placement.of(decoded, INPUT_SIZE, fit))
    pixel_of_input = 3.2  # pixels of the file, where the fit that reduces most is turned upright
    np.testing.assert_allclose(boxes[0], MARKED, atol=pixel_of_input)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_undone_as_pillow_applies_them(orientation: int) -> None:
    """Exactly: at full size a box upright, found in Pillow's own upright picture, is the file's box."""
    stored = Image.open(io.BytesIO(with_orientation(drawing(), orientation)))
    upright = ImageOps.exif_transpose(stored)
    decoded = decode(
        io.BytesIO(with_orientation(drawing(), orientation)), upright.size, headroom=None, max_pixels=10**6
    )
    placement = Placement.of(decoded, upright.size, "stretch")
    seen = floats([white_box(np.asarray(upright))])
    assert np.array_equal(to_upright(seen, placement), seen)
    assert to_original(seen, placement).tolist() == [list(MARKED)]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_reduced_decoding_moves_no_box(orientation: int, fit: str) -> None:
    """A JPEG decoded at an eighth, with parts of blocks at its edges, gives the same box as at full size."""
    size, box = (2407, 1205), (1030, 260, 1390, 750)
    data = with_orientation(drawing(size, box), orientation, "JPEG", quality=95, subsampling=0)
    small = (64, 64)
    spec = InputSpec(*small, 3, "uint8")
    for headroom in (FINE, None):
        decoded = decode(io.BytesIO(data), small, headroom=headroom, max_pixels=10**7)
        assert decoded.reduced is (headroom is not None)
        seen = white_box(resize(decoded.image, spec, fit=fit))
        boxes = to_original(floats([seen]), Placement.of(decoded, small, fit))
        np.testing.assert_allclose(boxes[0], box, atol=size[0] / 64 + 1)


def test_the_edge_of_a_reduced_picture_is_where_it_is_in_the_file() -> None:
    """1001 pixels become 126 at an eighth, the last of which holds a single one: its edges are at 1000 and 1001."""
    data = encoded(Image.new("RGB", (1001, 801)), "JPEG")
    decoded = decode(io.BytesIO(data), (60, 48), headroom=FINE, max_pixels=10**6)
    assert decoded.image.size == (126, 101)
    placement = Placement.of(decoded, (126, 101), "stretch")
    assert to_original(floats([[125, 100, 126, 101]]), placement).tolist() == [[1000, 800, 1001, 801]]


def test_boxes_are_clipped_to_the_picture_and_left_out_beside_it() -> None:
    """A letterbox's border holds nothing, and a box that reaches into it ends at the picture's edge."""
    decoded = decode(io.BytesIO(encoded(Image.new("RGB", (100, 100)))), INPUT_SIZE, headroom=None, max_pixels=10**6)
    placement = Placement.of(decoded, INPUT_SIZE, "letterbox")  # 96 x 96 from 32 on
    boxes = floats([[0, 0, 30, 90], [0, -20, 56, 48], [140, 0, 160, 96]])
    found = place(Candidates(boxes, floats([0.9, 0.8, 0.7]), np.array([1, 2, 3])), placement)
    assert found.boxes.tolist() == [[0, 0, 25, 50]]
    assert found.classes.tolist() == [2]

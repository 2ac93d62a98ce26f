"""Pictures become exactly the numbers a model was trained on."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.models import Fit
from image_model.preprocess import (
    FINE,
    FITS,
    LETTERBOX_GREY,
    Decoded,
    InputSpec,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    decode,
    is_identity,
    legacy_pixel_table,
    pixel_table,
    resize,
    to_tensor,
)
from tests.conftest import SuppliedModel
from tests.images import encoded, gradient, huge_png

MOBILENET = InputSpec(224, 224, 3, "uint8", 1 / 128, 128)
MEGAPIXEL = 1_000_000


def open_bytes(
    data: bytes, target: tuple[int, int] = (32, 32), *, headroom: int | None = None, limit: int = MEGAPIXEL
) -> Decoded:
    return decode(io.BytesIO(data), target, headroom=headroom, max_pixels=limit)


@pytest.mark.parametrize(("format_name", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_lossless_formats_arrive_pixel_by_pixel(format_name: str, options: dict[str, object]) -> None:
    """A lossless picture is decoded to the pixels it was made of."""
    image = gradient()
    decoded = open_bytes(encoded(image, format_name, **options))
    assert decoded.format == format_name
    assert np.array_equal(np.asarray(decoded.image), np.asarray(image))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    """Each of the eight EXIF orientations comes out upright."""
    upright = gradient(40, 24)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = open_bytes(encoded(stored, "PNG", exif=exif))
    assert decoded.orientation == orientation
    assert np.array_equal(np.asarray(decoded.image), np.asarray(upright))


def test_fast_decoding_keeps_twice_the_target() -> None:
    """A large JPEG is decoded reduced, but never below twice the model's size on either side."""
    data = encoded(gradient(1000, 800), "JPEG")
    fast = open_bytes(data, (100, 100), headroom=FINE)
    assert fast.reduced
    assert fast.size == (1000, 800)
    assert fast.image.size == (250, 200)
    assert open_bytes(data, (100, 100)).image.size == (1000, 800)


def test_fast_decoding_of_a_sideways_image_looks_at_the_right_sides() -> None:
    """With a turned picture the sides are swapped before the target is compared."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(gradient(1600, 200), "JPEG", exif=exif)
    decoded = open_bytes(data, (100, 800), headroom=FINE)  # upright it is 200 wide and 1600 high
    assert not decoded.reduced
    assert decoded.image.size == (200, 1600)


def test_a_small_jpeg_is_never_reduced() -> None:
    """Where no reduction fits, fast and exact give the same pixels."""
    data = encoded(gradient(120, 90), "JPEG")
    fast, exact = (open_bytes(data, (100, 100), headroom=headroom) for headroom in (FINE, None))
    assert not fast.reduced
    assert np.array_equal(np.asarray(fast.image), np.asarray(exact.image))


def test_too_many_pixels_are_refused_before_decoding() -> None:
    """A 20 kB PNG of 169 megapixels is refused by its header, with its size in the message."""
    data = huge_png()
    assert len(data) < 30_000
    with pytest.raises(TooManyPixels, match=r"169\.0 megapixels"):
        open_bytes(data, limit=40 * MEGAPIXEL)


def test_even_more_pixels_than_pillow_opens_are_refused_alike() -> None:
    """Above Pillow's own limit the same error comes out."""
    with pytest.raises(TooManyPixels, match=r"800\.0 megapixels"):
        open_bytes(huge_png(40_000, 20_000), limit=40 * MEGAPIXEL)


@pytest.mark.parametrize("data", [b"hello", b"", b"GIF89a" + bytes(100), b"BM" + bytes(100), b"RIFF\0\0\0\0WAVE"])
def test_other_bytes_are_not_images(data: bytes) -> None:
    """Bytes of other kinds are told apart from damaged pictures."""
    with pytest.raises(NotAnImage):
        open_bytes(data)


@given(cut=st.floats(0.05, 0.95), kind=st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_a_cut_image_is_truncated_never_something_else(cut: float, kind: str) -> None:
    """Wherever a picture is cut off, the answer is TruncatedImage."""
    data = encoded(gradient(200, 150), kind)
    with pytest.raises(TruncatedImage):
        open_bytes(data[: max(12, int(len(data) * cut))])


@given(data=st.data())
def test_flipped_bytes_never_raise_anything_unexpected(data: st.DataObject) -> None:
    """A damaged picture either decodes or raises a PictureError."""
    original = bytearray(encoded(gradient(60, 40), data.draw(st.sampled_from(["PNG", "JPEG", "WEBP"]))))
    for _ in range(5):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(TruncatedImage, NotAnImage, TooManyPixels):
        open_bytes(bytes(original))


def test_transparency_is_shown_on_white() -> None:
    """A drawing on transparent ground reads as a drawing on paper."""
    drawing = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    drawing.putpixel((0, 0), (0, 0, 0, 255))
    pixels = resize(drawing, InputSpec(8, 8, 1, "uint8"))
    assert pixels[0, 0, 0] == 0
    assert pixels[4, 4, 0] == 255


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    """A 16-bit PNG keeps its range."""
    data = encoded(Image.fromarray(np.array([[0, 32768, 65535]] * 3, np.uint16)))
    pixels = resize(open_bytes(data).image, InputSpec(3, 3, 1, "uint8"))
    assert pixels[1, :, 0].tolist() == [0, 128, 255]


def test_cropping_takes_the_centre() -> None:
    """Centre cropping keeps the shape of things; stretching does not."""
    wide = Image.new("RGB", (300, 100), "black")
    wide.paste((255, 255, 255), (100, 0, 200, 100))
    spec = InputSpec(50, 50, 3, "uint8")
    assert resize(wide, spec, fit="crop")[25, [2, 25, 47], 0].min() > 250
    assert resize(wide, spec)[25, [2, 25, 47], 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    ("size", "edges"),
    [
        ((300, 100), (0, 16, 50, 33)),
        ((100, 300), (16, 0, 33, 50)),
        ((25, 25), (0, 0, 50, 50)),
        ((1000, 1), (0, 24, 50, 25)),
    ],
)
def test_a_letterbox_keeps_all_of_the_picture_in_its_shape(size: tuple[int, int], edges: tuple[int, ...]) -> None:
    """The picture is centred on YOLO's grey, small ones enlarged; of an odd border the smaller half comes first."""
    left, top, right, bottom = edges
    for channels in (1, 3):
        pixels = resize(Image.new("RGB", size, "white"), InputSpec(50, 50, channels, "uint8"), fit="letterbox")
        expected = np.full((50, 50, channels), LETTERBOX_GREY)
        expected[top:bottom, left:right] = 255
        assert np.array_equal(pixels, expected)


def test_an_unknown_fit_is_refused() -> None:
    """With the names of those there are, which are the ones of the contract."""
    with pytest.raises(ValueError, match=r"'squeeze' is no way .* stretch, crop, letterbox"):
        resize(gradient(), MOBILENET, fit="squeeze")
    assert list(FITS) == list(Fit)


def test_the_supplied_models_bytes_are_the_pixels() -> None:
    """With scale 1/128, zero point 128 and the range of training, each pixel is stored as itself."""
    table = pixel_table(MOBILENET, (-1.0, 0.9921875))
    assert is_identity(table)
    assert table.dtype == np.uint8


def test_int8_inputs_are_shifted() -> None:
    """An int8 input with scale 1/255 and zero point -128 stores black as -128 and white as 127."""
    table = pixel_table(InputSpec(8, 8, 1, "int8", 1 / 255, -128), (0.0, 1.0))
    assert table.dtype == np.int8
    assert [int(value) for value in table[[0, 255]].tolist()] == [-128, 127]
    assert not is_identity(table)


def test_an_inverted_range_turns_paper_into_no_ink() -> None:
    """With range [1, 0] white is 0, as the digits model was trained."""
    table = pixel_table(InputSpec(8, 8, 1, "float32"), (1.0, 0.0))
    assert table[255] == 0.0
    assert table[0] == 1.0


def test_one_range_a_channel() -> None:
    """Channels may have their own ranges, as models trained with per-channel means do."""
    spec = InputSpec(2, 2, 3, "float32")
    table = pixel_table(spec, [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
    tensor = to_tensor(np.full((2, 2, 3), 255, np.uint8), table)
    assert tensor.shape == (1, 2, 2, 3)
    assert tensor[0, 0, 0].tolist() == [1.0, 1.0, 255.0]


@given(scale=st.floats(1e-3, 1.0), zero_point=st.integers(0, 255), low=st.floats(-5, 0), high=st.floats(0.1, 5))
def test_quantisation_rounds_to_the_nearest_step(scale: float, zero_point: int, low: float, high: float) -> None:
    """Within the type's limits, dequantising gives the real value back to half a step."""
    table = pixel_table(InputSpec(1, 1, 1, "uint8", scale, zero_point), (low, high)).astype(np.float64)
    real = low + np.arange(256) / 255 * (high - low)
    back = (table - zero_point) * scale
    inside = (table > 0) & (table < 255)
    assert np.all(np.abs(back - real)[inside] <= scale / 2 + 1e-9)


def test_the_notebooks_mapping_gives_a_dark_half_range_image(mobilenet: SuppliedModel) -> None:
    """legacy_sample repeats the measured quirk: pixels 18 to 255 of the parrot arrive as 9 to 128."""
    decoded = open_bytes(mobilenet.parrot, (224, 224), headroom=FINE)
    pixels = resize(decoded.image, MOBILENET)
    legacy = to_tensor(pixels, legacy_pixel_table(MOBILENET))
    assert (pixels.min(), pixels.max()) == (18, 255)
    assert (legacy.min(), legacy.max()) == (9, 128)


def test_the_notebooks_mapping_is_refused_elsewhere() -> None:
    """It is defined for quantised uint8 inputs alone."""
    with pytest.raises(ValueError, match="uint8"):
        legacy_pixel_table(InputSpec(8, 8, 1, "float32"))

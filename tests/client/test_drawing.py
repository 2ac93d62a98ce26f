"""Pictures with boxes drawn on them: where the lines are, whichever way the file is stored, and where the file goes."""

import io
from pathlib import Path

import pytest
from PIL import ExifTags, Image, ImageColor, ImageOps

from client.errors import EdgeError
from client.files.drawing import COLOURS, SUFFIXES, NotDrawable, draw_boxes, drawing_targets, upright
from client.files.images import ImageSource
from contract.detect import Box, Detection
from tests.images import encoded, gradient, huge_png

INVERSE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a picture is turned before it is stored with an EXIF orientation, so that it is shown as it was."""
SIZE = (300, 200)
SPOT = (40, 120, 160, 180)
"""Left, top, right and bottom of a spot on the picture as it is shown."""
WHITE = (255, 255, 255)
BLUE = ImageColor.getrgb(COLOURS[0])


def stored(shown: Image.Image, orientation: int) -> bytes:
    """A PNG file that is shown as this picture by its EXIF orientation."""
    how = INVERSE[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(shown.transpose(how) if how is not None else shown, exif=exif)


def detection(box: tuple[float, float, float, float], *, index: int = 0, label: str | None = "spot") -> Detection:
    edges = dict(zip(Box.model_fields, box, strict=True))
    return Detection(index=index, label=label, score=0.5, box_px=Box(**edges))


def drawn(image: bytes, found: list[Detection], target: Path) -> Image.Image:
    draw_boxes(image, found, target)
    with Image.open(target) as picture:
        return picture.convert("RGB")


def box_of(mask: Image.Image) -> tuple[int, int, int, int]:
    box = mask.getbbox()
    assert box is not None
    return box


@pytest.mark.parametrize("orientation", INVERSE)
def test_the_box_lies_on_its_spot_whichever_way_the_file_is_stored(tmp_path: Path, orientation: int) -> None:
    """The spot's place on the file's grid, found on its pixels, is drawn around it on the picture as it is shown."""
    shown = Image.new("RGB", SIZE, WHITE)
    shown.paste("black", SPOT)
    image = stored(shown, orientation)
    with Image.open(io.BytesIO(image)) as file:
        on_the_file = box_of(ImageOps.invert(file.convert("L")))
        shown_again = ImageOps.exif_transpose(file.copy())
    assert shown_again.size == SIZE
    found = detection(on_the_file)
    assert list(upright(found.box_px, file.size, orientation)) == list(SPOT)
    picture = drawn(image, [found], tmp_path / "out.png")
    assert picture.size == SIZE
    left, top, right, bottom = SPOT
    middle = (left + right) // 2, (top + bottom) // 2
    edges = [(left, middle[1]), (right - 1, middle[1]), (middle[0], top), (middle[0], bottom - 1)]
    assert [picture.getpixel(each) for each in edges] == [BLUE] * 4
    outside = [(left - 1, middle[1]), (right, middle[1]), (right - 1, top - 1), (middle[0], bottom)]
    assert [picture.getpixel(each) for each in outside] == [WHITE] * 4
    assert picture.getpixel(middle) == (0, 0, 0)


def test_boxes_are_kept_within_the_picture(tmp_path: Path) -> None:
    """Boxes beyond it, turned around, empty or thinner than a pixel are no error, and nothing else is drawn."""
    beyond = detection((150, 100, 2**31 - 1, 2**31 - 1), index=1)
    nothing = [(50, 50, 50, 90), (90, 90, 40, 40), (1e9, 1e9, 2e9, 2e9), (20.1, 20.1, 20.2, 20.2)]
    white = encoded(Image.new("RGB", SIZE, WHITE))
    picture = drawn(white, [beyond, *map(detection, nothing)], tmp_path / "out.png")
    assert picture.getpixel((SIZE[0] - 1, 150)) == ImageColor.getrgb(COLOURS[1])
    assert picture.getcolors() is None or BLUE not in [colour for _, colour in picture.getcolors() or []]


def test_hostile_labels_are_cut_and_visible(tmp_path: Path) -> None:
    """A label of several lines, or without end, covers no more than a line of the picture."""
    white = encoded(Image.new("RGB", SIZE, WHITE))
    label = "\n".join("spot" for _ in range(50)) + "\x1b[2J" * 10_000
    picture = drawn(white, [detection((0, 50, 10, 60), label=label)], tmp_path / "out.png")
    _, top, right, bottom = box_of(ImageOps.invert(picture.convert("L")))
    assert (top >= 20, right <= SIZE[0], bottom) == (True, True, 60)


def test_a_class_has_its_colour_and_text_that_can_be_read_on_it(tmp_path: Path) -> None:
    """More classes than colours begin anew; the best object lies on top."""
    white = encoded(Image.new("RGB", SIZE, WHITE))
    found = [detection((10, 50, 90, 90), index=6), detection((10, 50, 90, 90), index=1)]
    picture = drawn(white, found, tmp_path / "out.png")
    assert picture.getpixel((10, 80)) == BLUE
    light = drawn(white, [detection((10, 50, 90, 90), index=4)], tmp_path / "light.png")
    colours = [colour for _, colour in light.getcolors(100_000) or []]
    assert (0, 0, 0) in colours


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_that_may_be_named_is_written(tmp_path: Path, suffix: str) -> None:
    """By the name's ending, with folders that are not there yet, and nothing beside it."""
    target = tmp_path / "deep" / f"out{suffix.upper()}"
    draw_boxes(encoded(gradient()), [detection((5, 5, 20, 20))], target)
    with Image.open(target) as picture:
        assert picture.size == (64, 48)
    assert [each.name for each in target.parent.iterdir()] == [target.name]


def test_what_shows_through_is_white_as_for_the_agent(tmp_path: Path) -> None:
    """Transparency, and pictures of 16 bits."""
    clear = encoded(Image.new("RGBA", SIZE, (0, 0, 0, 0)))
    assert drawn(clear, [], tmp_path / "clear.png").getpixel((5, 5)) == WHITE
    deep = Image.new("I;16", SIZE, 128 * 257)
    assert drawn(encoded(deep), [], tmp_path / "deep.png").getpixel((5, 5)) == (128, 128, 128)


@pytest.mark.parametrize("image", [b"", b"no picture", encoded(gradient())[:120], huge_png(40_000, 40_000)])
def test_what_cannot_be_drawn_on_is_one_error_and_no_file(tmp_path: Path, image: bytes) -> None:
    """Files that are damaged, or too large to open here."""
    with pytest.raises(EdgeError, match="cannot be drawn on"):
        draw_boxes(image, [], tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    """A file where a folder should be, and a folder where the file should be; nothing half-written stays."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.png").mkdir()
    for target in (tmp_path / "file" / "out.png", tmp_path / "folder.png"):
        with pytest.raises(EdgeError, match="cannot be written"):
            draw_boxes(encoded(gradient()), [], target)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder.png"]


def source(path: Path) -> ImageSource:
    return ImageSource(str(path), path)


def test_one_picture_goes_into_a_file_or_a_folder(tmp_path: Path) -> None:
    """The name's ending tells; standard input has a name too."""
    picture = source(tmp_path / "car.jpg")
    assert drawing_targets(tmp_path / "out.png", [picture], ["a"]) == {("a", picture.name): tmp_path / "out.png"}
    assert drawing_targets(tmp_path / "new", [picture], ["a"]) == {("a", picture.name): tmp_path / "new" / "car.png"}
    piped = ImageSource("stdin", None)
    assert drawing_targets(tmp_path, [piped], ["a"]) == {("a", "stdin"): tmp_path / "stdin.png"}


def test_each_picture_and_host_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Pictures of one name from two folders are told apart; an address makes no folders."""
    pictures = [source(tmp_path / "a" / "car.jpg"), source(tmp_path / "b" / "car.png")]
    named = drawing_targets(tmp_path / "out", pictures, ["edge1", "http://[::1]:80/"])
    assert [path.relative_to(tmp_path / "out").as_posix() for path in named.values()] == [
        *("car-edge1.png", "car-http-1-80.png", "car-edge1-2.png", "car-http-1-80-2.png")
    ]


def test_places_that_take_no_picture_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """Another format, one file for several, a file as a folder, and the picture itself by any name."""
    picture, other = tmp_path / "car.png", tmp_path / "bus.jpg"
    for each in (picture, other, tmp_path / "file"):
        each.write_bytes(b"x")
    (tmp_path / "same.png").symlink_to(picture)
    both = [source(picture), source(other)]
    for target, sources, reason in (
        (tmp_path / "out.bmp", both[:1], "must end in .png"),
        (tmp_path / "out.png", both, "cannot take 2 pictures"),
        (tmp_path / "file", both, "a file is there"),
        (picture, both[:1], "is a picture to look at"),
        (tmp_path / "same.png", both[:1], "is a picture to look at"),
        (tmp_path, both, "is a picture to look at"),
    ):
        with pytest.raises(NotDrawable, match=reason):
            drawing_targets(target, sources, ["a"])

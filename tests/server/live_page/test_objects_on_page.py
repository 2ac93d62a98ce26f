"""Detectors on the live page: boxes over the picture, and the same in words."""

import re
from collections.abc import Iterator

import pytest
from PIL import ExifTags, Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from image_model.catalog import SAMPLES_FOLDER
from tests import detectors
from tests.agents import RunningAgent, wait_for
from tests.browser import screenshot
from tests.client.test_drawing import INVERSE
from tests.images import encoded
from tests.server.live_page.conftest import Device, Watched, visit
from tests.server.live_page.test_images_on_page import BEST, ZERO, draw
from tests.server.test_models import put_blob, put_model

SPOTS = [((8, 16, 16, 24), "red"), ((56, 0, 64, 8), "blue")]
"""Cells of the detector's 64 x 64 pixels, so that boxes are known."""
SHARES = {"red": (8 / 64, 16 / 64, 16 / 64, 24 / 64), "blue": (56 / 64, 0, 1, 8 / 64)}
"""Left, top, right and bottom of each, as shares of the picture as it is shown."""
TIMES = "\u00d7"
HOSTILE = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module", autouse=True)
def spotter(device: Device) -> Iterator[RunningAgent]:
    """The device has a detector, and one whose labels are somebody's idea of a joke."""
    with device.agent.http() as http:
        for name, labels in (("spots", detectors.LABELS), ("odd", (HOSTILE + "\n").encode() * 3)):
            options = {"labels": put_blob(http, labels), "preprocessing": {"input_range": [0, 1]}}
            put_model(http, name, detectors.yolo_v8(), **options).raise_for_status()
    yield device.agent


def scene(orientation: int = 1) -> FilePayload:
    """A picture of 640 x 320 as it is shown, stored with an EXIF orientation; spots are stretched on the input."""
    shown = Image.fromarray(detectors.spots((64, 64), SPOTS)).resize((640, 320), Image.Resampling.NEAREST)
    how, exif = INVERSE[orientation], Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = shown.transpose(how) if how is not None else shown
    return {"name": "scene.jpg", "mimeType": "image/jpeg", "buffer": encoded(stored, "JPEG", quality=95, exif=exif)}


def ask(page: Page, picture: FilePayload, *, model: str = "spots", least: str = "0.9") -> None:
    """Choose the detector and a score, then the picture."""
    page.locator("#try-model").select_option(model)
    page.locator("#try-score").fill(least)
    page.set_input_files("#try-input", picture)


def boxes_on(page: Page) -> dict[str, tuple[float, ...]]:
    """Where each box is on the picture, as shares of it, by its label."""
    found = page.evaluate(
        """() => {
            const within = document.querySelector(".found img").getBoundingClientRect();
            const shares = (box) => [
                (box.left - within.left) / within.width, (box.top - within.top) / within.height,
                (box.right - within.left) / within.width, (box.bottom - within.top) / within.height,
            ];
            const boxes = [...document.querySelectorAll(".found .box")];
            return boxes.map((box) => [box.textContent, shares(box.getBoundingClientRect())]);
        }"""
    )
    return {label.split()[0]: tuple(edges) for label, edges in found}


def test_boxes_lie_over_the_picture_and_a_list_says_the_same(browser: Browser, device: Device) -> None:
    """Label and score on each box, a line each with its place in pixels of the file; wide, dark, and on a phone."""
    for name, width, scheme in (("wide", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")):
        with visit(browser, device.agent, viewport={"width": width, "height": 900}, color_scheme=scheme) as seen:
            page = seen.open()
            ask(page, scene())
            expect(page.locator("#try-heading")).to_have_text("Find objects in a picture")
            expect(page.locator(".summary")).to_have_text(
                re.compile(rf"^2 objects: 1 {TIMES} (red, 1 {TIMES} blue|blue, 1 {TIMES} red)$")
            )
            items = page.get_by_role("list", name="Objects, best first").get_by_role("listitem")
            expect(items.filter(has_text="red")).to_have_text(
                re.compile(rf"red\d+\.\d %80 {TIMES} 40 pixels at 80, 80 of")
            )
            expect(items.filter(has_text="blue")).to_have_text(
                re.compile(rf"\d+\.\d %80 {TIMES} 40 pixels at 560, 0 of the")
            )
            for label, edges in SHARES.items():
                assert boxes_on(page)[label] == pytest.approx(edges, abs=0.01)
            expect(page.locator(".stage-times div", has_text="suppression")).to_have_text(re.compile(r"[\d.]+ ms$"))
            expect(page.locator("#try-preview")).to_be_hidden()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            screenshot(page, f"live-objects-{name}")


@pytest.mark.parametrize("orientation", [number for number in INVERSE if number != 1])
def test_a_turned_file_is_shown_upright_with_its_boxes(seen: Watched, orientation: int) -> None:
    """Boxes come in pixels of the file's own grid; whichever way that lies, they are over the spots."""
    page = seen.open()
    ask(page, scene(orientation))
    expect(page.locator(".objects li")).to_have_count(2)
    size = page.locator(".found img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert size == [640, 320]
    for label, edges in SHARES.items():
        assert boxes_on(page)[label] == pytest.approx(edges, abs=0.01)


def test_the_least_score_asks_again(seen: Watched) -> None:
    """Fewer objects, then none, which is said."""
    page = seen.open()
    ask(page, scene(), least="0.2")
    expect(page.locator(".objects li")).to_have_count(4)
    page.locator("#try-score").fill("0.9")
    expect(page.locator(".objects li")).to_have_count(2)
    expect(page.locator("#try-score-value")).to_have_text(re.compile(r"^90\s?%$"))
    blank = Image.new("RGB", (64, 64), "white")
    page.set_input_files("#try-input", {"name": "x.png", "mimeType": "image/png", "buffer": encoded(blank)})
    expect(page.locator(".summary")).to_have_text(re.compile(r"^No object with a score of 90\s?% or more\.$"))
    expect(page.locator(".objects")).to_have_count(0)
    expect(page.locator(".found img")).to_be_visible()


def test_classifiers_answer_as_before(seen: Watched) -> None:
    """Another model is asked about the picture that is there; its picture stays where it was."""
    page = seen.open()
    ask(page, {"name": "3.png", "mimeType": "image/png", "buffer": (SAMPLES_FOLDER / "digit-3.png").read_bytes()})
    expect(page.locator(".found")).to_be_visible()
    page.locator("#try-model").select_option("digits")
    expect(page.locator(BEST)).to_have_text(re.compile(r"^3\s*9\d\.\d %$"))
    expect(page.locator("#try-preview")).to_be_visible()
    expect(page.locator("#try-heading")).to_have_text("Classify a picture")
    expect(page.locator("#try-scores")).to_be_hidden()
    assert page.locator(".found").count() == 0


def test_what_the_camera_sees_is_shown_with_boxes(seen: Watched) -> None:
    """The picture that was asked about, not what is seen by now."""
    page = seen.open()
    page.locator("#try-model").select_option("spots")
    page.get_by_text("Camera", exact=True).click()
    wait_for(lambda: page.locator("#camera-video").evaluate("video => video.videoWidth") > 0)
    page.get_by_role("button", name="Find objects in what it sees").click()
    expect(page.locator(".found .box").first).to_be_visible()
    with page.expect_response("**/detect**") as answered:
        page.get_by_label("every second").check()
    assert answered.value.ok


def test_a_detector_is_sent_the_whole_paper(seen: Watched) -> None:
    """A classifier gets the ink alone."""
    page = seen.open()
    page.get_by_text("Draw a digit").click()
    page.locator("#try-model").select_option("spots")
    draw(page, [(0.2, 0.2), (0.3, 0.4)])
    expect(page.locator("#try-answer")).to_contain_text(f"280 {TIMES} 280 PNG")
    page.locator("#try-model").select_option("digits")
    expect(page.locator("#try-answer")).to_contain_text(f"128 {TIMES} 128 PNG")


def test_drawn_digits_are_found(seen: Watched) -> None:
    """The detector of digits stays chosen where something is drawn; another gives way to the classifier of digits."""
    page = seen.open()
    page.locator("#try-model").select_option("spots")
    page.get_by_text("Draw a digit").click()
    expect(page.locator("#try-model")).to_have_value("digits")
    page.get_by_text("Picture", exact=True).click()
    page.locator("#try-model").select_option("digits-detector")
    page.get_by_text("Draw a digit").click()
    expect(page.locator("#try-model")).to_have_value("digits-detector")
    draw(page, [(0.5 + 0.45 * x, 0.05 + 0.45 * y) for x, y in ZERO])
    expect(page.locator(".objects li").first).to_have_text(
        re.compile(r"^0\d+\.\d %\d+ . \d+ pixels at 1\d\d, \d\d of the")
    )
    screenshot(page, "live-digits-found")


def test_hostile_labels_are_text(seen: Watched) -> None:
    """On boxes and in the list."""
    page = seen.open()
    ask(page, scene(), model="odd")
    expect(page.locator(".objects li").first).to_contain_text(HOSTILE)
    expect(page.locator(".tag").first).to_contain_text(HOSTILE)
    assert page.locator("img[src='x']").count() == 0
    assert page.title() != "owned"

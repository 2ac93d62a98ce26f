"""Pictures on the live page: dropped, drawn, seen by the camera; refused while a job measures."""

import base64
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from client.files.library import manifest_of
from client.sdk.edge_client import EdgeClient
from image_model.catalog import EMBEDDED_FOLDER, SAMPLES_FOLDER
from image_model.download import pull
from server.routes.page import FOLDERS
from tests.agents import running_agent, wait_for
from tests.browser import screenshot
from tests.conftest import SuppliedModel
from tests.server.jobs.running import benchmark, submit
from tests.server.live_page.conftest import Device, Watched, visit
from tests.server.test_models import put_blob, put_model

BEST = ".labels li >> nth=0"
Point = tuple[float, float]


def drop(page: Page, image: Path) -> None:
    """Drop a file on the page, as a hand would."""
    content = base64.b64encode(image.read_bytes()).decode()
    page.evaluate(
        """(content) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
            const options = {dataTransfer: data, bubbles: true, cancelable: true};
            document.body.dispatchEvent(new DragEvent("dragenter", options));
            document.body.dispatchEvent(new DragEvent("drop", options));
        }""",
        content,
    )


def draw(page: Page, stroke: Sequence[Point]) -> None:
    """Draw on the paper with the pointer; points are parts of its width and height."""
    paper = page.locator("#draw-canvas")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    assert box is not None
    for number, (x, y) in enumerate(stroke):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        if number == 0:
            page.mouse.down()
    page.mouse.up()


ONE = [(0.4, 0.3), (0.52, 0.18), (0.52, 0.85)]
ZERO = [(0.5 + 0.2 * math.sin(t / 2), 0.5 - 0.34 * math.cos(t / 2)) for t in range(14)]
FOUR = [(0.55, 0.18), (0.28, 0.6), (0.75, 0.6), (0.58, 0.6), (0.58, 0.4), (0.58, 0.88)]


def test_a_dropped_image_is_classified(seen: Watched) -> None:
    """Labels with scores, and the time of every stage."""
    page = seen.open()
    drop(page, SAMPLES_FOLDER / "digit-3.png")
    expect(page.locator(BEST)).to_have_text(re.compile(r"^3\s*9\d\.\d %$"))
    expect(page.locator("#try-preview")).to_be_visible()
    for stage in ("queue", "decode", "preprocess", "inference", "postprocess", "agent in all", "seen from here"):
        expect(page.locator(".stage-times div", has_text=stage)).to_have_text(re.compile(r"[\d.]+ ms$"))
    page.set_input_files("#try-input", SAMPLES_FOLDER / "digit-7.png")
    expect(page.locator(BEST)).to_have_text(re.compile("^7"))
    screenshot(page, "live-classified")


def test_drawn_digits_are_read(seen: Watched) -> None:
    """What a hand draws reaches the model as it knows digits: dark on white, cut to the ink."""
    page = seen.open()
    page.get_by_text("Draw a digit").click()
    for digit, stroke in (("1", ONE), ("0", ZERO), ("4", FOUR)):
        page.get_by_role("button", name="Clear").click()
        draw(page, stroke)
        expect(page.locator(BEST)).to_have_text(re.compile(f"^{digit}"))
    screenshot(page, "live-drawn")


def test_the_camera_is_classified_and_switched_off(seen: Watched) -> None:
    """Once, then every second; another source ends it."""
    page = seen.open()
    page.get_by_text("Camera", exact=True).click()
    wait_for(lambda: page.locator("#camera-video").evaluate("video => video.videoWidth") > 0)
    page.get_by_role("button", name="Classify what it sees").click()
    expect(page.locator("#try-answer")).to_contain_text("JPEG")
    page.get_by_label("every second").check()
    for _ in range(2):
        with page.expect_response("**/classify**") as answered:
            pass
        assert answered.value.ok
    page.get_by_text("Picture", exact=True).click()
    assert page.locator("#camera-video").evaluate("video => video.srcObject") is None


def test_a_refused_image_says_what_is_wrong(browser: Browser, device: Device, tmp_path: Path) -> None:
    """The agent's own words, and a way to try again."""
    (tmp_path / "not.png").write_bytes(b"no picture at all")
    with visit(browser, device.agent) as seen:
        page = seen.open()
        page.set_input_files("#try-input", tmp_path / "not.png")
        expect(page.locator("#try-answer .error")).to_contain_text("send JPEG, PNG or WebP")
        expect(page.get_by_role("button", name="Send again")).to_be_visible()
        assert [error for error in seen.errors if "415" not in error] == []
        seen.errors.clear()


def test_while_a_job_measures_images_wait(seen: Watched, device: Device) -> None:
    """The page says why, and sends the picture again when the job is through."""
    page = seen.open()
    with device.agent.http() as http:
        submit(http, benchmark(duration_s=3))
        expect(page.locator("#running-job")).to_be_visible()
        drop(page, SAMPLES_FOLDER / "digit-5.png")
        expect(page.locator("#try-answer")).to_contain_text("A job is measuring")
        expect(page.locator(BEST)).to_have_text(re.compile("^5"), timeout=30_000)


def test_hostile_labels_are_text(seen: Watched, device: Device) -> None:
    """A model's labels are somebody's words, not the page's."""
    hostile = "<img src=x onerror=document.title='owned'>"
    with device.agent.http() as http:
        labels = put_blob(http, "".join(f"{hostile} {n}\n" for n in range(10)).encode())
        model = (EMBEDDED_FOLDER / "digits.tflite").read_bytes()
        put_model(http, "hostile", model, labels=labels, preprocessing={"input_range": [1.0, 0.0]}).raise_for_status()
        page = seen.open()
        page.locator("#try-model").select_option("hostile")
        drop(page, SAMPLES_FOLDER / "digit-6.png")
        expect(page.locator(BEST)).to_contain_text(f"{hostile} 6")
        assert page.locator("img[src='x']").count() == 0
        http.delete("/v1/models/hostile")


def test_the_supplied_model_sees_the_parrot(browser: Browser, mobilenet: SuppliedModel, tmp_path: Path) -> None:
    """The whole way of the teaching notebook, in the browser."""
    pulled = pull(mobilenet.entry, tmp_path / "library", mirror=mobilenet.mirror)
    with running_agent(tmp_path / "data", "--workers", "1") as agent, EdgeClient(agent.host) as client:
        client.push_model(mobilenet.entry.name, *manifest_of(pulled))
        with visit(browser, agent) as seen:
            page = seen.open()
            expect(page.locator("#try-model")).to_have_value(mobilenet.entry.name)
            page.set_input_files("#try-input", pulled.path(mobilenet.entry.samples[0]))
            expect(page.locator(BEST)).to_have_text(re.compile("^macaw"))
            screenshot(page, "live-parrot")


@pytest.mark.parametrize("name", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("])
def test_the_pages_own_scripts_never_parse_markup(name: str) -> None:
    """Texts go in as text; there is no other way in."""
    own = [path for folder in FOLDERS for path in folder.glob("*.js") if path.name != "echarts.js"]
    assert len(own) > 10
    assert [path.name for path in own if name in path.read_text()] == []

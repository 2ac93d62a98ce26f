"""`show` in a notebook: the same page in a frame of its own."""

from pathlib import Path

from playwright.sync_api import FrameLocator

from client.analysis.runs import write_run
from client.report import show
from client.report.notebook import HEIGHT_PX
from contract.results import ProfileResult
from tests.client.made_runs import made_entry, made_run, samples_around
from tests.client.report.conftest import Opened, Opener, RealRuns
from tests.client.report.made_telemetry import made_recorded_entry, made_telemetry

READY = "<script>document.documentElement.dataset.ready = 'yes'</script>"


def test_a_cell_shows_the_page(opened: Opener, real: RealRuns, tmp_path: Path) -> None:
    """Charts are drawn in the frame, which reaches nothing around it."""
    report = show(real.folder / "bench", str(real.folder / "default.json"))
    with opened(cell(tmp_path, report._repr_html_())) as seen:
        frame = frame_of(seen)
        frame.locator(".chart svg path").first.wait_for()
        frame.get_by_role("radio", name="Overlaid").check()
        assert frame.locator("#matrix .plot").count() == 3


def test_charts_below_the_first_screen_are_drawn_ahead(opened: Opener, tmp_path: Path) -> None:
    """A browser knows no margin around a frame of another origin by itself: the cell would show empty places."""
    entries = [made_entry(samples_around(10 + n, 100, n), threads=1 + n) for n in range(6)]
    with opened(cell(tmp_path, show(made_run(*entries))._repr_html_())) as seen:
        first = frame_of(seen).locator(".chart").first
        assert first.evaluate("chart => chart.getBoundingClientRect().top") > HEIGHT_PX
        first.locator("svg path").first.wait_for(state="attached")


def cell(folder: Path, content: str) -> Path:
    """A notebook's page with one cell."""
    path = folder / "cell.html"
    path.write_text(f"<!doctype html><body>{content}{READY}</body>", encoding="utf-8")
    return path


def frame_of(seen: Opened) -> FrameLocator:
    """The report's frame once its code has run; a frame's own document is no request that leaves the page."""
    frame = seen.page.frame_locator("iframe")
    frame.locator("html[data-ready=yes]").wait_for(state="attached")
    seen.requests = [url for url in seen.requests if url != "about:srcdoc"]
    return frame


def test_objects_and_folders_alike(tmp_path: Path, real: RealRuns) -> None:
    """Runs as `EdgeClient` users hold them; in a terminal the verdict in words."""
    run = made_run(made_recorded_entry(10.0, made_telemetry(20)), name="mine")
    write_run(tmp_path, run)
    profile = ProfileResult.model_validate_json((real.folder / "default.json").read_text())
    report = show(run, tmp_path, profile, title="Both")
    assert report.data.title == "Both"
    assert {each.run for each in report.data.configurations} == {"mine", tmp_path.name}
    assert len(report.data.profiles) == 1
    assert repr(report).startswith("No difference to be seen between ")

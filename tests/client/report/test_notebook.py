"""`show` in a notebook: the same page in a frame of its own."""

from pathlib import Path

from client.report import show
from client.runs import write_run
from contract.results import ProfileResult
from tests.client.made_runs import made_run
from tests.client.report.conftest import Opener, RealRuns
from tests.client.report.made_telemetry import made_recorded_entry, made_telemetry

READY = "<script>document.documentElement.dataset.ready = 'yes'</script>"


def test_a_cell_shows_the_page(opened: Opener, real: RealRuns, tmp_path: Path) -> None:
    """Charts are drawn in the frame, which reaches nothing around it."""
    report = show(real.folder / "bench", str(real.folder / "default.json"))
    path = tmp_path / "cell.html"
    path.write_text(f"<!doctype html><body>{report._repr_html_()}{READY}</body>", encoding="utf-8")
    with opened(path) as seen:
        frame = seen.page.frame_locator("iframe")
        frame.locator("html[data-ready=yes]").wait_for(state="attached")
        frame.locator(".chart svg path").first.wait_for()
        frame.get_by_role("radio", name="Overlaid").check()
        assert frame.locator("#matrix .plot").count() == 3
        seen.requests = [url for url in seen.requests if url != "about:srcdoc"]


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

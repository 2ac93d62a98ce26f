"""Names that look like markup, script or formulas are text, in the page, in the downloads, in pictures."""

import csv
import io
import json
from pathlib import Path

import pytest

from client.analysis.runs import Run
from client.report.data import report_data
from client.report.page import page
from client.report.png import write_images
from client.report.sources import Sources
from tests.browser import screenshot
from tests.client.made_runs import made_run
from tests.client.report.conftest import Opener, write_page
from tests.client.report.made_telemetry import made_recorded_entry, made_telemetry

HOSTILE = (
    "</script><script>window.slipped = 1</script>",
    "<img src=x onerror='window.slipped = 2'>",
    "<!--<script>",
    '=HYPERLINK("http://example.invalid","x")',
    "{a|b}${x} $\\frac{1}{2}$ \u202e \U0001f600",
)


@pytest.fixture(scope="module")
def hostile() -> Run:
    """A host of each name, with a runtime and sensors that are called so too."""
    entries = []
    for number, name in enumerate(HOSTILE):
        telemetry = made_telemetry(30, seed=number)
        key = "made{label}"
        telemetry.series[key] = [float(n % 2) for n in range(len(telemetry.t_s))]
        telemetry.info[key] = telemetry.info["memory_used_bytes"].model_copy(
            update={"metric": name, "labels": {name: name}, "source": name}
        )
        telemetry.unavailable["gpu_temperature_celsius"] = name
        fields = {"runtime": name, "runtime_version": name}  # a model cannot be called so
        entries.append(made_recorded_entry(10.0 + number, telemetry, number, host=name, fields=fields))
    return made_run(*entries, name=HOSTILE[0])


def test_hostile_names_are_text(opened: Opener, hostile: Run, tmp_path: Path) -> None:
    """Each is read on the page as it is; nothing of them runs, loads or breaks anything."""
    path = write_page(tmp_path / "hostile.html", hostile)
    with opened(path) as seen:
        seen.scroll_through()
        shown = seen.page.locator("body").inner_text()
        for name in HOSTILE[:4]:
            assert name in shown
        for box in seen.page.locator("#hardware input[type=checkbox]").all():
            box.evaluate("(each) => each.checked || each.click()")
        seen.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        seen.page.get_by_role("radio", name="Overlaid").check()
        seen.scroll_through()
        assert seen.page.evaluate("window.slipped") is None
        assert seen.page.locator("main img").count() == 0
        assert seen.page.evaluate("document.documentElement.scrollWidth") == 1280
        with seen.page.expect_download() as download:
            seen.page.get_by_role("button", name="Results (CSV)").click()
        download.value.save_as(tmp_path / "results.csv")
        screenshot(seen.page, "report-hostile")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert [row["host"] for row in rows][3] == "'" + HOSTILE[3]
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())


def test_the_data_cannot_end_its_element(hostile: Run) -> None:
    """No `<` stands between the tags, and what is read back is what was written."""
    data = report_data(Sources(runs=[("made", hostile)]))
    text = page(data)
    inner = text.partition('<script type="application/json" id="report-data">')[2].partition("</script>")[0]
    assert "<" not in inner
    assert json.loads(inner) == data.model_dump(mode="json")


def test_images_take_any_name(hostile: Run, tmp_path: Path) -> None:
    """Dollar signs are no formulas, letters that the font lacks no warnings, names of files harmless."""
    written = write_images(tmp_path / "png", report_data(Sources(runs=[("made", hostile)])))
    assert {"load-time.png", "inference-time.png", "time-cpu-temperature.png"} <= {each.name for each in written}
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in written)

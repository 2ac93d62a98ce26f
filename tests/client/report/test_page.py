"""The report of real runs in a real browser, opened from disk."""

import csv
import io
import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from client.analysis.runs import read_run
from tests.browser import screenshot
from tests.client.report.conftest import Opener, RealRuns

SERIOUS = ("serious", "critical")
ALL_FILLED = "() => [...document.querySelectorAll('details')].every((each) => each.children.length > 1)"


def panels(page: Page) -> int:
    """Plots of the hardware matrix."""
    return page.locator("#matrix .plot").count()


def test_verdict_first_then_table_and_charts(opened: Opener, real: RealRuns) -> None:
    """A sentence, a row a configuration with its verdict, and every chart drawn with its caption."""
    with opened(real.report) as seen:
        page: Page = seen.page
        seen.scroll_through()
        order = page.evaluate("[...document.querySelectorAll('main > section')].map((each) => each.id)")
        assert order == ["result", "bars", "distribution", "windows", "hardware", "layers", "conditions"]
        headline = page.locator(".headline").inner_text()
        assert headline and headline in real.stderr.replace("\n", " ")
        rows = page.locator("#result table").first.locator("tbody tr")
        assert rows.count() == 2
        assert all(row.locator(".verdict").count() == 1 for row in rows.all())
        captions = page.locator("#bars figcaption").all_inner_texts()
        assert [caption.split("\n")[0] for caption in captions] == [
            *("Model load time", "First inference", "Inference time, median", "Frames per second")
        ]
        assert captions[0].endswith("lower is better")
        assert captions[3].endswith("higher is better")
        charts = page.locator(".chart").all()
        assert len(charts) > 10
        for chart in charts:
            assert chart.locator("svg path").count() > 0, chart.get_attribute("aria-label")
        screenshot(page, "report-light")


def test_figures_on_the_page_are_those_of_the_run(opened: Opener, real: RealRuns) -> None:
    """The table and the data behind the bars say what run.json says."""
    entries = read_run(real.folder / "bench").entries
    with opened(real.report) as seen:
        cells = seen.page.locator("#result table").first.locator("tbody tr td:nth-child(6)").all_inner_texts()
        rates = [entry.result.fps for entry in entries if entry.result is not None]
        assert [float(cell.replace(",", "")) for cell in cells] == pytest.approx(rates, rel=0.005)
        figure = seen.page.locator("#bars figure").first
        figure.locator("summary").click()
        figure.locator("tbody td").first.wait_for()  # the numbers are made after the click, in a task of their own
        loads = figure.locator("tbody td").all_inner_texts()
        shown = [float(text.split()[0]) * (1e-3 if text.endswith("µs") else 1) for text in loads]
        measured = [entry.result.load_ms for entry in entries if entry.result is not None]
        assert shown == pytest.approx(measured, rel=0.005)


def test_runs_components_and_view_are_chosen(opened: Opener, real: RealRuns) -> None:
    """A row a component, a column a run; overlaid, a plot for all; the address keeps the choice."""
    with opened(real.report) as seen:
        page: Page = seen.page
        runs = page.get_by_role("group", name="Runs").get_by_role("checkbox")
        assert runs.count() == 3
        assert panels(page) == 9
        runs.nth(2).uncheck()
        assert panels(page) == 6
        page.get_by_role("checkbox", name="Frames per second").check()
        assert panels(page) == 8
        page.get_by_role("radio", name="Overlaid").check()
        assert panels(page) == 4
        page.reload()
        page.wait_for_selector("html[data-ready=yes]", state="attached")
        assert panels(page) == 4
        assert not page.get_by_role("group", name="Runs").get_by_role("checkbox").nth(2).is_checked()
        missing = page.get_by_role("checkbox", name="GPU temperature not measured")
        if missing.count():  # as on most machines that run tests
            missing.check()
            assert "Not measured." in page.locator("#matrix .absence").first.inner_text()


def test_a_part_of_the_run_is_chosen(opened: Opener, real: RealRuns) -> None:
    """By number, by mouse, and back: the time axes of all plots follow."""
    with opened(real.report) as seen:
        page: Page = seen.page
        page.get_by_label("from, seconds").nth(1).fill("1")
        plot = page.locator("#matrix .plot").first
        plot.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('#matrix .plot svg text') !== null")
        assert "from=1&" in page.url
        box = plot.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60)
        assert plot.locator(".chosen").is_visible()
        page.mouse.up()
        begin, end = (float(page.get_by_label(f"{name}, seconds").nth(0).input_value()) for name in ("from", "to"))
        longest = float(page.get_by_label("to, seconds").nth(0).get_attribute("max") or 0)
        assert 1 < begin < end < longest
        page.get_by_role("button", name="Whole run").click()
        assert page.get_by_label("from, seconds").nth(0).input_value() == "0"


def test_one_cursor_for_all_plots_also_by_keyboard(opened: Opener, real: RealRuns) -> None:
    """Arrow keys move it; every plot says the moment and its own value."""
    with opened(real.report) as seen:
        plots = seen.page.get_by_role("slider", name="moment of the run")
        plots.first.focus()
        for _ in range(3):
            seen.page.keyboard.press("Shift+ArrowRight")
        texts = [plot.get_attribute("aria-valuetext") or "" for plot in plots.all()]
        assert len({text.partition(":")[0] for text in texts}) == 1
        assert all(any(letter.isdigit() for letter in text.partition(":")[2]) for text in texts[:2])
        assert seen.page.locator("#matrix .cursor:not([hidden])").count() == plots.count()
        seen.page.keyboard.press("Escape")
        assert seen.page.locator("#matrix .cursor:not([hidden])").count() == 0


def test_two_profiles_stand_side_by_side(opened: Opener, real: RealRuns) -> None:
    """The same operator in one row, sorted by a click, one profile alone on demand."""
    with opened(real.report) as seen:
        layers = seen.page.locator("#layers")
        assert "Both profiles are of the same file" in layers.inner_text()
        table = layers.locator("table")
        heads = table.locator("th").all_inner_texts()
        assert sum("mean" in head for head in heads) == 2
        button = table.get_by_role("button", name="builtin: mean")
        button.click()
        head = table.locator("th[aria-sort=descending]")
        assert "builtin: mean" in head.inner_text()
        place = table.locator("th").all_inner_texts().index(head.inner_text()) + 1
        cells = table.locator(f"tbody tr:not(.sum) td:nth-child({place}), tbody tr:not(.sum) th:nth-child({place})")
        texts = cells.all_inner_texts()
        values = [float(text.replace(",", "")) for text in texts if text != "n/a"]
        assert "n/a" not in texts[: len(values)]
        assert values == sorted(values, reverse=True)
        layers.get_by_label("beside").select_option(label="nothing")
        assert sum("mean" in head for head in layers.locator("th").all_inner_texts()) == 1


def test_downloads_hold_the_data(opened: Opener, real: RealRuns, tmp_path: Path) -> None:
    """JSON has everything, CSV a row a configuration."""
    with opened(real.report) as seen:
        for button, name in (("Everything (JSON)", "all.json"), ("Results (CSV)", "results.csv")):
            with seen.page.expect_download() as download:
                seen.page.get_by_role("button", name=button).click()
            download.value.save_as(tmp_path / name)
    document = json.loads((tmp_path / "all.json").read_text())
    assert document["schema_version"] == 1
    assert len(document["recordings"]) == 3
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert [float(row["fps"]) for row in rows] == [each["figures"]["fps"] for each in document["configurations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_axe(opened: Opener, real: RealRuns, scheme: str) -> None:
    """Names, roles, contrast and order, with everything unfolded."""
    with opened(real.report, color_scheme=scheme, bypass_csp=True) as seen:
        seen.scroll_through()
        seen.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        seen.page.wait_for_function(ALL_FILLED)
        found = Axe().run(seen.page).response["violations"]
        assert [(each["id"], each["nodes"][0]["target"]) for each in found if each["impact"] in SERIOUS] == []
        screenshot(seen.page, f"report-{scheme}-unfolded")


def test_a_phone_needs_no_sideways_scrolling(opened: Opener, real: RealRuns) -> None:
    """The page is as wide as the screen; the table's headings stand beside the values."""
    with opened(real.report, viewport={"width": 360, "height": 780}, has_touch=True, is_mobile=True) as seen:
        seen.scroll_through()
        assert seen.page.evaluate("document.documentElement.scrollWidth") == 360
        seen.page.get_by_role("radio", name="Overlaid").check()
        assert seen.page.evaluate("document.documentElement.scrollWidth") == 360
        cell = seen.page.locator("#result td[data-label=Load]").first
        assert cell.evaluate("(each) => getComputedStyle(each, '::before').content") == '"Load "'
        screenshot(seen.page, "report-phone")


def test_on_paper_everything_is_drawn_on_white(opened: Opener, real: RealRuns, tmp_path: Path) -> None:
    """Also for readers in the dark, and without having scrolled; the controls stay on the screen."""
    with opened(real.report, color_scheme="dark") as seen:
        seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        seen.page.emulate_media(media="print", color_scheme="dark")
        ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert all(chart.locator("svg path").count() for chart in seen.page.locator(".chart").all())
        assert not seen.page.locator(".controls").first.is_visible()


def test_the_policy_stops_what_is_slipped_in(opened: Opener, real: RealRuns, tmp_path: Path) -> None:
    """An inline script, a handler and a request that somebody adds to the file do nothing."""
    text = real.report.read_text(encoding="utf-8")
    added = (
        "<script>window.slipped = 1</script><img src=x onerror='window.slipped = 2'>"
        "<img src='https://example.invalid/x.png'></body>"
    )
    path = tmp_path / "slipped.html"
    path.write_text(text.replace("</body>", added), encoding="utf-8")
    context = opened(path)
    with pytest.raises(AssertionError), context as seen:  # the policy's own reports are errors here
        assert seen.page.evaluate("window.slipped") is None
        violations = seen.page.evaluate("window.violations")
        assert {"script-src-elem", "script-src-attr", "img-src"} <= set(violations)
        assert [url for url in seen.requests if url.startswith("http")] == []
        assert seen.page.locator(".chart svg").count() > 0
        seen.check(path)

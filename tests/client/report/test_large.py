"""Long recordings: the page stays small, opens soon, and shows the shortest peak."""

from itertools import pairwise
from pathlib import Path

import pytest

from contract.validity import Verdict
from tests.browser import screenshot
from tests.client.made_runs import made_run
from tests.client.report.conftest import Opener, write_page
from tests.client.report.made_telemetry import PEAK_CELSIUS, made_recorded_entry, made_telemetry

BYTES_MAX = 3_000_000
OPENS_MS = 2000
HALF_HOUR_S = 1800.0
DAY_S = 24 * 3600.0
RUNS = 8
LINE_TOPS = """
    (plot) => {
        const colour = getComputedStyle(document.documentElement).getPropertyValue("--series-0").trim();
        return [...plot.querySelectorAll(`svg path[fill="none"][stroke="${colour}"]`)].map((line) => line.getBBox().y);
    }
"""


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight runs of half an hour at one sample a second; the second has a peak, the first is throttled."""
    entries = [
        made_recorded_entry(
            10.0 * (n + 1),
            made_telemetry(
                HALF_HOUR_S, seed=n, throttled_from=1000 if n == 0 else None, peak_at=700 if n == 1 else None
            ),
            seed=n,
            host=f"board {n}",
            verdict=Verdict.UNRELIABLE if n == 0 else Verdict.OK,
        )
        for n in range(RUNS)
    ]
    return write_page(tmp_path_factory.mktemp("large") / "eight.html", made_run(*entries))


def test_eight_runs_of_half_an_hour_open_at_once(opened: Opener, eight: Path) -> None:
    """Below 3 MB; everything that is on the first screen stands within 2 s, by the browser's own clock."""
    assert eight.stat().st_size < BYTES_MAX
    with opened(eight) as seen:
        taken_ms = seen.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        assert taken_ms < OPENS_MS
        seen.scroll_through()
        assert seen.page.locator("#matrix .plot").count() == 4 * 3
        assert seen.page.locator("#matrix .columns.heads > div").first.inner_text().endswith("firmware: throttled")
        for box in seen.page.get_by_role("group", name="Runs").get_by_role("checkbox").all():
            box.check()
        assert seen.page.locator("#matrix .plot").count() == RUNS * 3
        assert seen.page.evaluate("document.documentElement.scrollWidth") == 1280
        seen.page.get_by_role("radio", name="Overlaid").check()
        seen.scroll_through()
        screenshot(seen.page, "report-eight-overlaid")


def test_labels_beside_lines_never_cover_each_other(opened: Opener, eight: Path) -> None:
    """Eight lines that end at the same height have eight legible names."""
    with opened(eight) as seen:
        for box in seen.page.get_by_role("group", name="Runs").get_by_role("checkbox").all():
            box.check()
        seen.page.get_by_role("radio", name="Overlaid").check()
        seen.scroll_through()
        plot = seen.page.locator("#matrix .plot").nth(1)
        tops = plot.evaluate(
            "(each) => [...each.querySelectorAll('svg text')].filter((text) => text.textContent.startsWith('board'))"
            ".map((text) => text.getBoundingClientRect().top)"
        )
        assert len(tops) == RUNS
        ordered = sorted(tops)
        assert all(below - above >= 11 for above, below in pairwise(ordered))


def test_a_day_shows_its_peak(opened: Opener, tmp_path: Path) -> None:
    """One hot second of 86400 is in the drawn line."""
    entry = made_recorded_entry(10.0, made_telemetry(DAY_S, peak_at=30_000), host="board")
    path = write_page(tmp_path / "day.html", made_run(entry))
    assert path.stat().st_size < BYTES_MAX
    with opened(path) as seen:
        seen.scroll_through()
        assert f"to {PEAK_CELSIUS}" in seen.page.locator("#matrix .reading").first.inner_text()
        tops = seen.page.locator("#matrix .plot").first.evaluate(LINE_TOPS)
        assert min(tops) < 20  # pixels below the upper edge: the scale ends at 100 degrees, without the peak at 80
        assert "M4" in seen.page.locator("#hardware").inner_text()
        screenshot(seen.page, "report-day")

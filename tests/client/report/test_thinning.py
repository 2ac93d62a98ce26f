"""Thinned lines keep their peaks, their gaps and their ends."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from client.report.recordings import POINTS_BUDGET, Recorded, components, recordings
from client.report.thinning import corners, m4
from tests.client.report.made_telemetry import PEAK_CELSIUS, made_telemetry

DAY_S = 24 * 3600.0

lines = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=400)


@settings(max_examples=60, deadline=None)
@given(lines, st.integers(8, 100))
def test_extremes_ends_and_gaps_stay(values: list[float | None], points_max: int) -> None:
    """Of any line: highest and lowest value, first and last point, and no gap that is closed."""
    t_s = [float(n) for n in range(len(values))]
    kept = m4(t_s, values, corners(values), points_max)
    known = [value for value in values if value is not None]
    assert kept == sorted(set(kept))
    assert {kept[0], kept[-1]} == {0, len(values) - 1}
    if known:
        assert {min(known), max(known)} <= {values[index] for index in kept}
    stretches = max(1, points_max // 4)
    assert len(kept) <= max(points_max, 5 * stretches)
    if len(corners(values)) <= points_max:
        for a, b in pairwise(kept):
            assert b == a + 1 or len(set(values[a : b + 1])) == 1


def test_level_stretches_cost_two_points() -> None:
    """A line that stays where it is is drawn by its ends."""
    assert corners([1.0] * 50 + [2.0] + [1.0] * 50) == [0, 49, 50, 51, 100]
    assert corners([None] * 5) == [0, 4]


def test_a_day_keeps_its_peak_and_fits() -> None:
    """Of 86401 samples one is hot: it is in the drawn line and in the statistics."""
    telemetry = made_telemetry(DAY_S, peak_at=30_000)
    each = Recorded(0, "made", "", 0, telemetry, {})
    rows = components([each], [])
    (recording,) = recordings([each], rows)
    line = recording.channels["cpu_temperature_celsius"]
    assert line.thinned
    assert max(value for value in line.values if value is not None) == PEAK_CELSIUS
    assert line.t_s[line.values.index(PEAK_CELSIUS)] == 30_000
    assert line.statistics is not None
    assert line.statistics.max == PEAK_CELSIUS
    assert sum(len(channel.t_s) for channel in recording.channels.values()) < 1.3 * POINTS_BUDGET

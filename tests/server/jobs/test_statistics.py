"""Statistics that say no more than the sample supports."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.percentiles import percentile
from server.statistics import median_interval, samples_needed, summary

SAMPLES = st.lists(st.floats(0.001, 1e4), min_size=1, max_size=300)


@pytest.mark.parametrize(("percent", "needed"), [(90, 64), (95, 130), (97, 219), (99, 662)])
def test_loadgens_sample_sizes(percent: int, needed: int) -> None:
    """The figures MLPerf LoadGen gives for 99 % confidence and one discard."""
    assert samples_needed(percent) == needed


@pytest.mark.parametrize(("count", "missing"), [(63, {"p90", "p95", "p99"}), (64, {"p95", "p99"}), (662, set())])
def test_a_percentile_the_sample_cannot_support_is_not_given(count: int, missing: set[str]) -> None:
    """It is None, and the summary says how many samples it needs."""
    found = summary([float(n) for n in range(count)])
    assert found is not None
    assert set(found.unsupported) == missing
    assert {name for name in ("p90", "p95", "p99") if getattr(found, f"{name}_ms") is None} == missing


@given(SAMPLES)
def test_summaries_are_ordered_and_agree_with_the_standard_library(samples: list[float]) -> None:
    """min <= p50 <= max, the median is the median, and its interval holds it."""
    found = summary(samples)
    assert found is not None
    assert found.min_ms <= found.p50_ms <= found.max_ms
    assert found.p50_ms == pytest.approx(statistics.median(samples))
    assert (found.median_interval_ms is None) == (len(samples) < 6)
    if found.median_interval_ms is not None:
        low, high = found.median_interval_ms
        assert low <= found.p50_ms <= high


@given(SAMPLES, st.floats(0, 100))
def test_percentiles_lie_within_the_sample(samples: list[float], percent: float) -> None:
    """Whatever is asked."""
    ordered = sorted(samples)
    assert ordered[0] <= percentile(ordered, percent) <= ordered[-1] * (1 + 1e-12)


def test_the_interval_of_the_median_covers_as_often_as_it_says() -> None:
    """Of many samples from a known distribution, about 95 % of the intervals hold its median."""
    import random

    source = random.Random(7)
    held = 0
    for _ in range(1000):
        low, high = median_interval(sorted(source.expovariate(1.0) for _ in range(50))) or (0.0, 0.0)
        held += low <= 0.6931 <= high
    assert held >= 935


def test_no_samples_have_no_summary() -> None:
    """None instead of zeros."""
    assert summary([]) is None

"""Ratios say only what the samples can tell."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.analysis.comparison import Ratio, effective_count, rate_ratio, speed_ratio, times_faster
from tests.client.made_runs import samples_around


def test_a_clear_difference_is_found() -> None:
    """Twice as fast is 2 with a narrow interval around it."""
    ratio = speed_ratio([samples_around(1.0, 500, 1)], [samples_around(2.0, 500, 2)])
    assert ratio is not None
    assert ratio.low < 2.0 < ratio.high
    assert ratio.separates
    assert ratio.high - ratio.low < 0.05


def test_the_same_thing_twice_is_no_difference() -> None:
    """Of many pairs of samples from one distribution hardly any separates: 5 % by the definition of the interval."""
    found = 0
    for seed in range(60):
        ratio = speed_ratio([samples_around(1.0, 60, 2 * seed)], [samples_around(1.0, 60, 2 * seed + 1)])
        assert ratio is not None
        found += ratio.separates
    assert found <= 8


def test_samples_that_hang_together_count_for_less() -> None:
    """A slow wave makes the interval of a median wider than independent samples would."""
    wave = [1 + 0.5 * math.sin(n / 50) for n in range(1000)]
    assert effective_count(wave) < 50
    chance = random.Random(0)
    independent = [chance.random() for _ in range(1000)]
    assert effective_count(independent) > 800
    assert effective_count([1.0] * 100) == 100


def test_repeats_bring_in_how_jobs_differ() -> None:
    """Jobs whose medians lie apart give a wider interval than one job alone."""
    base = [samples_around(2.0, 200, 9)]
    alone = speed_ratio([samples_around(1.0, 200, 1)], base)
    apart = speed_ratio([samples_around(center, 200, seed) for seed, center in enumerate((0.8, 1.0, 1.25))], base)
    assert alone is not None
    assert apart is not None
    assert apart.high - apart.low > 5 * (alone.high - alone.low)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_samples_give_no_ratio(count: int) -> None:
    """Below six samples there is no 95 % interval of a median."""
    assert speed_ratio([samples_around(1.0, count)], [samples_around(1.0, 100)]) is None
    assert speed_ratio([], [samples_around(1.0, 100)]) is None


positive = st.lists(st.floats(0.001, 1000), min_size=6, max_size=40)


@settings(max_examples=30, deadline=None)
@given(positive, positive)
def test_intervals_hold_their_value_and_are_repeatable(first: list[float], second: list[float]) -> None:
    """low <= value <= high, the same figures every time, and speed is rate turned around."""
    ratio = speed_ratio([first], [second])
    assert ratio is not None
    assert ratio.low <= ratio.value <= ratio.high
    assert ratio == speed_ratio([first], [second])
    assert rate_ratio([second], [first]) == ratio


def test_sentences() -> None:
    """Faster and slower read right, with the interval in the right order."""
    assert times_faster("a", Ratio(1.8, 1.75, 1.86), "b") == "a is 1.80 (1.75-1.86) times faster than b"
    assert times_faster("a", Ratio(0.5, 0.4, 0.625), "b") == "a is 2.00 (1.60-2.50) times slower than b"

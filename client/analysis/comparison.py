"""How much faster one measurement is than another, and whether the samples can tell.

Two configurations are compared by the ratio of their median latencies, with a 95 % interval from the bootstrap:

- The median of a resample of n values is the k-th smallest of them, k = ceil(n / 2). Its rank among the original
  values follows Beta(k, n - k + 1) (David and Nagaraja, Order Statistics, 2.1), so it is drawn directly, without
  drawing n values.
- Neighbouring inferences resemble each other: n is replaced by n (1 - r) / (1 + r), where r is the correlation between
  neighbours of the sign "above the median" (the effective sample size of a first-order process), never above n.
- With repeats the jobs are drawn first, with replacement, then the median of each: the median of these medians counts.
- The interval goes from the 2.5th to the 97.5th percentile of 4000 ratios. The seed is fixed: the same files give the
  same figures.

An interval from one job knows nothing of how one job differs from the next; repeats do.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

DRAWS = 4000
SEED = 20260101
CONFIDENCE = 0.95
SAMPLES_MIN = 6
"""The least for which an interval of the median with 95 % exists at all: 1 - 2 / 2^n."""

LONE_JOBS = "the intervals cover one job each, not how one job differs from the next: --repeat 5 does"
"""What is said beside ratios that rest on single jobs."""

NO_DIFFERENCE = 0.005
"""Ratios this near to 1 print as 1.00."""
Jobs = Sequence[Sequence[float]]
"""The values of each job of one configuration, in the order in which they were measured."""


@dataclass(frozen=True)
class Ratio:
    """How many times faster: above 1 the first is faster, below 1 it is slower."""

    value: float
    low: float
    high: float

    @property
    def separates(self) -> bool:
        """Whether the interval leaves out 1, by more than nobody would call a difference."""
        return self.low > 1 + NO_DIFFERENCE or self.high < 1 - NO_DIFFERENCE

    def __str__(self) -> str:
        return f"{figures(self.value)} ({figures(self.low)}-{figures(self.high)})"


def figures(value: float) -> str:
    """A ratio with as many decimals as matter."""
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def speed_ratio(faster: Jobs, slower: Jobs) -> Ratio | None:
    """How many times faster the first is than the second, by median latency; None when there are too few samples."""
    return _ratio(slower, faster)


def rate_ratio(higher: Jobs, lower: Jobs) -> Ratio | None:
    """How many times higher the first one's median rate is; None when there are too few values."""
    return _ratio(higher, lower)


def _ratio(upper: Jobs, lower: Jobs) -> Ratio | None:
    upper, lower = [job for job in upper if job], [job for job in lower if job]
    if min(sum(map(len, upper)), sum(map(len, lower))) < SAMPLES_MIN:
        return None
    if min(min(map(min, upper)), min(map(min, lower))) <= 0:
        return None  # below what the clock can tell
    value = median(map(median, upper)) / median(map(median, lower))
    ratios = sorted(a / b for a, b in zip(_medians(upper, SEED), _medians(lower, SEED + 1), strict=True))
    tail = round(DRAWS * (1 - CONFIDENCE) / 2)
    return Ratio(value, min(value, ratios[tail]), max(value, ratios[-1 - tail]))


def _medians(jobs: Jobs, seed: int) -> list[float]:
    """Bootstrap medians of one configuration."""
    chance = random.Random(seed)
    ordered = [sorted(job) for job in jobs]
    ranks = [_rank_parameters(effective_count(job)) for job in jobs]
    draws = []
    for _ in range(DRAWS):
        drawn = [chance.randrange(len(jobs)) for _ in jobs] if len(jobs) > 1 else [0]
        medians = []
        for index in drawn:
            values, share = ordered[index], chance.betavariate(*ranks[index])
            medians.append(values[min(int(share * len(values)), len(values) - 1)])
        draws.append(median(medians))
    return draws


def _rank_parameters(count: float) -> tuple[float, float]:
    middle = (count + 1) / 2
    return middle, count - middle + 1


def effective_count(values: Sequence[float]) -> float:
    """How many independent values tell as much of the median as these, at least 1."""
    count = len(values)
    if count < 3:
        return float(max(count, 1))
    middle = median(values)
    signs = [1 if value > middle else -1 if value < middle else 0 for value in values]
    power = sum(sign * sign for sign in signs)
    if power == 0:
        return float(count)
    correlation = sum(a * b for a, b in pairwise(signs)) / power
    correlation = min(max(correlation, 0.0), 1 - 1 / count)
    return max(1.0, count * (1 - correlation) / (1 + correlation))


def times_faster(subject: str, ratio: Ratio, other: str) -> str:
    """A difference as a sentence."""
    if ratio.value >= 1:
        return f"{subject} is {ratio} times faster than {other}"
    turned = Ratio(1 / ratio.value, 1 / ratio.high, 1 / ratio.low)
    return f"{subject} is {turned} times slower than {other}"


def spread(values: Sequence[float]) -> tuple[float, float] | None:
    """Smallest and largest, None for a lone value."""
    return (min(values), max(values)) if len(values) > 1 else None

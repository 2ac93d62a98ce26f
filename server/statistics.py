"""Statistics of latencies, with nothing printed that the sample cannot support."""

import math
import statistics
from collections.abc import Sequence

from contract.percentiles import percentile
from contract.results import LatencySummary

PERCENTILES = (90, 95, 99)
MEDIAN_INTERVAL_MIN_SAMPLES = 6
_Z_95 = 1.959963984540054


def samples_needed(percentile: int) -> int:
    """Smallest sample that supports a percentile at 99 % confidence, one value discarded.

    The rule of MLPerf LoadGen: the smallest n with P(X <= 1) <= 0.01 for X binomial(n, 1 - percentile / 100);
    64 for p90, 130 for p95, 662 for p99.
    """
    beyond = 1 - percentile / 100
    n = 2
    while (1 - beyond) ** n + n * beyond * (1 - beyond) ** (n - 1) > 0.01:
        n += 1
    return n


NEEDED = {percentile: samples_needed(percentile) for percentile in PERCENTILES}


def median_interval(ordered: Sequence[float]) -> tuple[float, float] | None:
    """95 % confidence interval of the median from order statistics (normal approximation of the binomial ranks)."""
    n = len(ordered)
    if n < MEDIAN_INTERVAL_MIN_SAMPLES:
        return None
    half = _Z_95 * math.sqrt(n) / 2
    low = max(0, math.floor(n / 2 - half) - 1)
    high = min(n - 1, math.ceil(n / 2 + half))
    return ordered[low], ordered[high]


def summary(samples_ms: Sequence[float]) -> LatencySummary | None:
    """Summary of a sample of latencies, None of an empty one."""
    if not samples_ms:
        return None
    ordered = sorted(samples_ms)
    count = len(ordered)
    supported = {p: percentile(ordered, p) if count >= NEEDED[p] else None for p in PERCENTILES}
    return LatencySummary(
        count=count,
        mean_ms=statistics.fmean(ordered),
        std_ms=statistics.stdev(ordered) if count > 1 else None,
        min_ms=ordered[0],
        p50_ms=percentile(ordered, 50),
        p90_ms=supported[90],
        p95_ms=supported[95],
        p99_ms=supported[99],
        max_ms=ordered[-1],
        median_interval_ms=median_interval(ordered),
        unsupported={
            f"p{p}": f"needs {NEEDED[p]} samples, there are {count}" for p in PERCENTILES if supported[p] is None
        },
    )

"""The one rule for percentiles, on the agent and in what the client shows of its figures."""

import math
from collections.abc import Sequence


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Value below which so many per cent of an ordered sample lie, interpolated (Hyndman and Fan's type 7)."""
    rank = (len(ordered) - 1) * percent / 100
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)

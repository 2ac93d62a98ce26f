"""Shares of a whole."""

from collections.abc import Sequence


def cumulative_shares(shares: Sequence[float]) -> list[float]:
    """For each share the sum of it and all larger ones; of equal ones the first counts as the larger."""
    reached, sums = 0.0, [0.0] * len(shares)
    for index in sorted(range(len(shares)), key=lambda each: -shares[each]):
        reached += shares[index]
        sums[index] = reached
    return sums

"""Durations, counted in buckets."""

from bisect import bisect_left

NANO = 1e-9
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends, inclusive; what took longer is counted beyond the last."""
_BUCKETS_NS = tuple(round(end_s / NANO) for end_s in BUCKETS_S)


class Durations:
    """How many durations fell into each bucket, and their sum.

    The library's Histogram takes a lock for each of its figures and walks its buckets, and its figures cannot be read
    back; docs/performance.md has what each costs.
    """

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_ns = 0

    def observe(self, duration_ns: int) -> None:
        """Count one duration."""
        self.counts[bisect_left(_BUCKETS_NS, duration_ns)] += 1
        self.sum_ns += duration_ns

    def add(self, others: "Durations") -> None:
        """Count all durations of others too."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, others.counts, strict=True)]
        self.sum_ns += others.sum_ns

    def copy(self) -> "Durations":
        """The same durations, counted so far."""
        made = Durations()
        made.counts, made.sum_ns = self.counts[:], self.sum_ns
        return made

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

"""Durations, counted in buckets."""

from bisect import bisect_left

NANO = 1e-9
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends, inclusive; what took longer is counted beyond the last."""
COUNTED_AT_ONCE = 256
_BUCKETS_NS = tuple(round(end_s / NANO) for end_s in BUCKETS_S)


class Durations:
    """How many durations fell into each bucket, and their sum.

    The library's Histogram takes a lock for each of its figures and walks its buckets, and its figures cannot be read
    back; docs/performance.md has what each costs.
    """

    __slots__ = ("_counts", "_sum_ns", "_uncounted_ns")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self._sum_ns = 0
        self._uncounted_ns: list[int] = []

    def observe(self, duration_ns: int) -> None:
        """Count one duration; many at once, which takes a fraction of the time that each alone would."""
        uncounted = self._uncounted_ns
        uncounted.append(duration_ns)
        if len(uncounted) >= COUNTED_AT_ONCE:
            self._count()

    def add(self, others: "Durations") -> None:
        """Count all durations of others too."""
        self._counts = [mine + theirs for mine, theirs in zip(self.counts, others.counts, strict=True)]
        self._sum_ns += others.sum_ns

    def copy(self) -> "Durations":
        """The same durations, counted so far."""
        made = Durations()
        made.add(self)
        return made

    @property
    def counts(self) -> list[int]:
        """How many fell into each bucket."""
        self._count()
        return self._counts

    @property
    def sum_ns(self) -> int:
        """Nanoseconds altogether."""
        self._count()
        return self._sum_ns

    def _count(self) -> None:
        for duration_ns in self._uncounted_ns:
            self._counts[bisect_left(_BUCKETS_NS, duration_ns)] += 1
        self._sum_ns += sum(self._uncounted_ns)
        self._uncounted_ns.clear()

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

"""Fewer points that draw the same line.

M4 (Jugel, Jerzak, Hackenbroich, Markl: M4: A Visualization-Oriented Time Series Data Aggregation, VLDB 2014) cuts the
time into as many stretches as there are pixels and keeps of each its first, last, smallest and largest value: a line
through these covers the same pixels as one through all. No peak is lost, however short.
"""

from collections.abc import Sequence

KEPT_OF_A_STRETCH = 4


def corners(values: Sequence[float | None]) -> list[int]:
    """Every point but those between two of the same value: leaving these out changes nothing about the line."""
    last = len(values) - 1
    return [
        index
        for index, value in enumerate(values)
        if index in (0, last) or not (values[index - 1] == value == values[index + 1])
    ]


def m4(t_s: Sequence[float], values: Sequence[float | None], indices: Sequence[int], points_max: int) -> list[int]:
    """Choose the indices to keep, ascending: about `points_max`, and one more for each gap."""
    if len(indices) <= points_max or not indices:
        return list(indices)
    stretches = max(1, points_max // KEPT_OF_A_STRETCH)
    begin, end = t_s[indices[0]], t_s[indices[-1]]
    width = (end - begin) / stretches or 1.0
    kept: set[int] = set()
    stretch: list[int] = []
    at = 0
    for index in indices:
        now = min(int((t_s[index] - begin) / width), stretches - 1)
        if now != at and stretch:
            kept.update(_kept(stretch, values))
            stretch = []
        at = now
        stretch.append(index)
    kept.update(_kept(stretch, values))
    return sorted(kept)


def _kept(stretch: Sequence[int], values: Sequence[float | None]) -> set[int]:
    """First, last, smallest and largest, and the first gap."""
    known = [(value, index) for index in stretch if (value := values[index]) is not None]
    gaps = [index for index in stretch if values[index] is None][:1]
    extremes = {min(known)[1], max(known)[1]} if known else set()
    return {stretch[0], stretch[-1], *extremes, *gaps}

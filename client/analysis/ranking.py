"""Which configuration of a run is faster, said only where the samples can tell."""

from collections.abc import Callable, Sequence

from client.analysis.comparison import LONE_JOBS, rate_ratio, speed_ratio, times_faster
from client.analysis.summary import Row, title
from contract.validity import Verdict

Naming = Callable[[Row], str]
"""What a row is called."""


def verdict_lines(rows: Sequence[Row], name: Naming | None = None) -> list[str]:
    """Ratios between rows whose intervals separate, fastest first; unreliable rows take no part.

    `name` is what a row is called, by default its title. Rows of the same batch and streams are compared by their
    median latency; the frame rates of all rows by their windows, where there are enough of them.
    """
    called = name or (lambda row: title(row, rows))
    ranked = [row for row in rows if row.ranked]
    lines: list[str] = []
    for alike in groups(ranked):
        lines += _latency_lines(alike, called)
    if len(groups(ranked)) > 1:
        lines += _rate_lines(ranked, called)
    if lines and any(len(row.results) == 1 for row in ranked):
        lines.append(LONE_JOBS)
    if left_out := [row for row in rows if row.verdict is Verdict.UNRELIABLE]:
        names = "; ".join(called(row) for row in left_out)
        lines.append(f"not ranked, because unreliable: {names}")
    return lines


def groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows whose latencies may be compared: those of the same batch and streams."""
    found: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        if row.first is not None:
            found.setdefault((row.first.batch, row.first.streams), []).append(row)
    return list(found.values())


def _latency_lines(alike: Sequence[Row], name: Naming) -> list[str]:
    best, *others = sorted(alike, key=lambda row: row.median_ms or 0)
    lines = []
    for other in others:
        ratio = speed_ratio(best.samples_ms, other.samples_ms)
        if ratio is not None and ratio.separates:
            lines.append(times_faster(marked(best, name), ratio, marked(other, name)))
    return lines


def _rate_lines(ranked: Sequence[Row], name: Naming) -> list[str]:
    best, *others = sorted(ranked, key=lambda row: -(row.fps or 0))
    lines = []
    for other in others:
        ratio = rate_ratio(best.window_fps, other.window_fps)
        if ratio is not None and ratio.low > 1:
            lines.append(f"{marked(best, name)} gives {ratio} times the frames per second of {marked(other, name)}")
    return lines


def marked(row: Row, name: Naming) -> str:
    """What a row is called, with its doubts."""
    return name(row) + (" [suspect]" if row.verdict is Verdict.SUSPECT else "")

"""Which configuration of a run is faster, said only where the samples can tell."""

from collections.abc import Sequence

from client.comparison import LONE_JOBS, rate_ratio, speed_ratio, times_faster
from client.summary import Row, title
from contract.validity import Verdict


def verdict_lines(rows: Sequence[Row]) -> list[str]:
    """Ratios between rows whose intervals separate, fastest first; unreliable rows take no part.

    Rows of the same batch and streams are compared by their median latency; the frame rates of all rows by their
    windows, where there are enough of them.
    """
    ranked = [row for row in rows if row.ranked]
    lines: list[str] = []
    for alike in _groups(ranked):
        lines += _latency_lines(alike, rows)
    if len(_groups(ranked)) > 1:
        lines += _rate_lines(ranked, rows)
    if lines and any(len(row.results) == 1 for row in ranked):
        lines.append(LONE_JOBS)
    if left_out := [row for row in rows if row.verdict is Verdict.UNRELIABLE]:
        names = ", ".join(title(row, rows) for row in left_out)
        lines.append(f"not ranked, because unreliable: {names}")
    return lines


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    groups: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        if row.first is not None:
            groups.setdefault((row.first.batch, row.first.streams), []).append(row)
    return list(groups.values())


def _latency_lines(alike: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    best, *others = sorted(alike, key=lambda row: row.median_ms or 0)
    lines = []
    for other in others:
        ratio = speed_ratio(best.samples_ms, other.samples_ms)
        if ratio is not None and ratio.separates:
            lines.append(times_faster(_marked(best, rows), ratio, _marked(other, rows)))
    return lines


def _rate_lines(ranked: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    best, *others = sorted(ranked, key=lambda row: -(row.fps or 0))
    lines = []
    for other in others:
        ratio = rate_ratio(best.window_fps, other.window_fps)
        if ratio is not None and ratio.low > 1:
            lines.append(f"{_marked(best, rows)} gives {ratio} times the frames per second of {_marked(other, rows)}")
    return lines


def _marked(row: Row, rows: Sequence[Row]) -> str:
    return title(row, rows) + (" [suspect]" if row.verdict is Verdict.SUSPECT else "")

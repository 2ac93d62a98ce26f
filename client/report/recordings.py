"""Telemetry of jobs as the hardware matrix shows it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from client.report import channels
from client.report.model import Channel, Component, ShownRecording, Span, Statistics
from client.report.thinning import corners, m4
from client.report.throttling import throttled, watched
from contract.percentiles import percentile
from contract.telemetry import Telemetry

POINTS_BUDGET = 120_000
"""The most points of all lines together: about 1.5 MB of a page."""
POINTS_MIN = 120
POINTS_MAX = 4000
PRIMARY_WEIGHT = 4
"""How many times more points a line gets that people look at first."""
MEASURED_PHASES = ("timed", "command")


@dataclass(frozen=True)
class Recorded:
    """A job's telemetry, and whose it is."""

    owner: int
    title: str
    subtitle: str
    repeat: int
    telemetry: Telemetry
    extra: Mapping[str, Channel]
    """Further rows, such as frames per second."""


def components(recorded: Sequence[Recorded], extra: Sequence[Component]) -> list[Component]:
    """Every row that any recording has, in order; `extra` after the ones people look at first."""
    found: dict[str, Component] = {}
    sorting: dict[str, tuple[int, int, str]] = {}
    for each in recorded:
        for key in channels.rows(each.telemetry):
            info = each.telemetry.info[key]
            if key not in found or not found[key].source:
                found[key] = channels.component(key, info)
                sorting[key] = channels.order(key, info)
    ordered = [found[key] for key in sorted(found, key=lambda key: sorting[key])]
    measured = {key for each in recorded for key, values in each.telemetry.series.items() if _known(values)}
    shown = [row for row in ordered if row.primary or row.key in measured]
    return [*(row for row in shown if row.primary), *extra, *(row for row in shown if not row.primary)]


def recordings(recorded: Sequence[Recorded], rows: Sequence[Component]) -> list[ShownRecording]:
    """Each recording with its lines, thinned so that all of them fit onto one page."""
    weights = {row.key: PRIMARY_WEIGHT if row.primary else 1 for row in rows}
    total = sum(
        weights.get(key, 0)
        for each in recorded
        for key, values in each.telemetry.series.items()
        if len(set(values)) > 1
    )
    share = POINTS_BUDGET / max(total, 1)
    points = {key: min(max(POINTS_MIN, int(share * weight)), POINTS_MAX) for key, weight in weights.items()}
    return [_recording(index, each, points) for index, each in enumerate(recorded)]


def _known(values: Sequence[float | None]) -> bool:
    return any(value is not None for value in values)


def _recording(index: int, each: Recorded, points: Mapping[str, int]) -> ShownRecording:
    telemetry = each.telemetry
    lines = {
        key: _channel(telemetry, key, points[key])
        for key in channels.rows(telemetry)
        if key in points and _known(telemetry.series[key])
    }
    end_s = telemetry.t_s[-1] if telemetry.t_s else 0.0
    absent = {
        key: telemetry.unavailable.get(telemetry.info[key].metric, "no value was read")
        for key in channels.rows(telemetry)
        if key not in lines
    }
    return ShownRecording(
        id=index,
        owner=each.owner,
        title=each.title,
        subtitle=each.subtitle,
        repeat=each.repeat,
        started_at=telemetry.started_at.isoformat(timespec="seconds"),
        interval_s=telemetry.interval_s,
        end_s=end_s,
        samples=telemetry.quality.samples,
        missed=telemetry.quality.missed,
        late_s_max=telemetry.quality.late_s_max,
        phases=[
            Span(name=phase.name, start_s=phase.start_s, end_s=end_s if phase.end_s is None else phase.end_s)
            for phase in telemetry.phases
        ],
        throttled=throttled(telemetry),
        throttle_watched=watched(telemetry),
        channels={**lines, **each.extra},
        unavailable=absent,
    )


def _channel(telemetry: Telemetry, key: str, points_max: int) -> Channel:
    values = channels.values(telemetry, key)
    every = corners(values)
    kept = m4(telemetry.t_s, values, every, points_max)
    return Channel(
        t_s=[round(telemetry.t_s[index], 2) for index in kept],
        values=[values[index] for index in kept],
        statistics=statistics_of(in_phase(telemetry, values)),
        limit=channels.limit(telemetry, key),
        thinned=len(kept) < len(every),
    )


def timed_phase(telemetry: Telemetry) -> tuple[float, float] | None:
    """When what was measured began and ended; None where no phase says so."""
    for phase in telemetry.phases:
        if phase.name in MEASURED_PHASES:
            return phase.start_s, math.inf if phase.end_s is None else phase.end_s
    return None


def in_phase(telemetry: Telemetry, values: Sequence[float | None]) -> list[float]:
    """Known values of the timed phase; of everything where there is none, or no sample lies in it."""
    begin, end = timed_phase(telemetry) or (-math.inf, math.inf)
    inside = [v for t, v in zip(telemetry.t_s, values, strict=True) if v is not None and begin <= t <= end]
    return inside or [value for value in values if value is not None]


def statistics_of(values: Sequence[float]) -> Statistics | None:
    """Median, p95 and range of values in any order; None of none."""
    found = sorted(values)
    if not found:
        return None
    middle, p95 = (channels.significant(percentile(found, percent)) for percent in (50, 95))
    return Statistics(median=middle, p95=p95, min=found[0], max=found[-1])

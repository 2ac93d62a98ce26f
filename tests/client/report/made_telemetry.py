"""Telemetry that no device gave, shaped like a Raspberry Pi's under load: what a machine that runs tests lacks."""

import math
import random
from datetime import UTC, datetime

from client.analysis.runs import Entry
from contract.telemetry import MetricKind, Phase, SamplerQuality, SeriesInfo, Telemetry
from tests.client.made_runs import made_entry, samples_around

GAUGES = {
    "cpu_temperature_celsius": "celsius",
    "cpu_temperature_trip_celsius": "celsius",
    "cpu_utilization_ratio": "ratio",
    "cpu_frequency_hertz": "hertz",
    "memory_used_bytes": "bytes",
    "power_total_watts": "watts",
}
COUNTERS = {
    "disk_read_bytes_total": "bytes",
    "disk_io_time_seconds_total": "seconds",
    "job_cpu_seconds_total": "seconds",
}
CORES = 4
PEAK_CELSIUS = 97.5
"""Of the one sample that thinning must not lose."""


def made_telemetry(
    seconds: float,
    interval_s: float = 1.0,
    seed: int = 0,
    throttled_from: float | None = None,
    peak_at: int | None = None,
) -> Telemetry:
    """A recording: idle, load, warm-up, timed, cool-down; hotter and slower from `throttled_from` on."""
    chance = random.Random(seed)
    t_s = [round(n * interval_s, 6) for n in range(int(seconds / interval_s) + 1)]
    series: dict[str, list[float | None]] = {}
    for t in t_s:
        for key, value in _sample(t, t_s[-1], chance, throttled_from).items():
            series.setdefault(key, []).append(value)
    if peak_at is not None:
        series["cpu_temperature_celsius"][peak_at] = PEAK_CELSIUS
    end = t_s[-1]
    names = ("idle", "load", "warm-up", "timed", "cool-down")
    edges = [0, 0.02 * end, 0.03 * end, 0.06 * end, 0.97 * end, end]
    return Telemetry(
        interval_s=interval_s,
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        t_s=t_s,
        series={**series, "gpu_temperature_celsius": [None] * len(t_s)},
        info={**{key: _info(key) for key in series}, "gpu_temperature_celsius": _info("gpu_temperature_celsius")},
        unavailable={"gpu_temperature_celsius": "no GPU sensor on this board"},
        phases=[Phase(name=name, start_s=edges[n], end_s=edges[n + 1]) for n, name in enumerate(names)],
        quality=SamplerQuality(samples=len(t_s), missed=0, late_s_max=0.004, self_cpu_ratio=0.001),
    )


def _sample(t: float, end: float, chance: random.Random, throttled_from: float | None) -> dict[str, float]:
    hot = throttled_from is not None and t >= throttled_from
    busy = 0.03 * end <= t <= 0.97 * end
    values = {
        "cpu_temperature_celsius": 45 + (28 if throttled_from is None else 38) * (1 - math.exp(-4 * t / end)),
        "cpu_temperature_trip_celsius": 80.0,
        "cpu_utilization_ratio": (0.95 if busy else 0.05) + 0.04 * chance.random(),
        "cpu_frequency_hertz": 1.43e9 if hot else 1.8e9,
        "memory_used_bytes": 5.2e8 + 1e6 * chance.random(),
        "power_total_watts": (6.0 if busy else 2.5) + chance.random(),
        "disk_read_bytes_total": 1e6 * t,
        "disk_io_time_seconds_total": 0.01 * t,
        "job_cpu_seconds_total": 3.8 * t,
        'throttle_active{reason="throttled"}': float(hot),
    }
    values["cpu_temperature_celsius"] += chance.random()
    for core in range(CORES):
        values[f'cpu_utilization_ratio{{cpu="{core}"}}'] = chance.random()
    return values


def _info(key: str) -> SeriesInfo:
    metric, _, rest = key.partition("{")
    labels = dict([rest.rstrip("}").replace('"', "").split("=")]) if rest else {}
    unit = COUNTERS.get(metric) or GAUGES.get(metric) or "1"
    kind = MetricKind.COUNTER if metric in COUNTERS else MetricKind.GAUGE
    return SeriesInfo(metric=metric, labels=labels, unit=unit, kind=kind, source="made")


def made_recorded_entry(
    center_ms: float, telemetry: Telemetry, seed: int = 0, count: int = 1000, **fields: object
) -> Entry:
    """A job with latencies around a value and a recording."""
    entry = made_entry(samples_around(center_ms, count, seed), **fields)  # type: ignore[arg-type]
    entry.telemetry = telemetry
    return entry

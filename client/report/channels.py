"""Telemetry series as rows of the hardware matrix: names and units for people, counters as rates."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from client.analysis.readings import group_of, name_of, rate
from client.report.model import Component
from contract.telemetry import CPU_TEMPERATURE, CPU_TRIP, MetricKind, SeriesInfo, Telemetry

MIB = 1024.0 * 1024.0
NAMES = {
    CPU_TEMPERATURE: "CPU temperature",
    "cpu_utilization_ratio": "CPU utilization",
    "cpu_frequency_hertz": "CPU clock",
    "memory_used_bytes": "Memory used",
    "disk_io_time_seconds_total": "Disk busy",
    "gpu_temperature_celsius": "GPU temperature",
    "gpu_utilization_ratio": "GPU utilization",
    "power_total_watts": "Power",
    "gpu_memory_used_bytes": "GPU memory used",
    "gpu_frequency_hertz": "GPU clock",
    "disk_read_bytes_total": "Disk read",
    "disk_written_bytes_total": "Disk written",
    "job_cpu_seconds_total": "CPU time of the job",
    "job_memory_bytes": "Memory of the job",
    "other_cpu_seconds_total": "CPU time of others",
    "pressure_cpu_waiting_seconds_total": "Tasks waiting for a CPU",
    "cpu_busy_seconds_total": "CPUs busy",
    "cpu_steal_seconds_total": "CPU time stolen by the host",
    "energy_joules_total": "Power from energy counter",
}
"""How each metric is shown, in the order of the rows."""
PRIMARY = frozenset(list(NAMES)[:8])
MARKS = frozenset({"throttle_active", "throttle_since_boot", "under_voltage_alarm", "gpu_throttle_active"})
"""Drawn as marks, not as rows."""
LIMITS = {CPU_TEMPERATURE: CPU_TRIP}
HIDDEN = MARKS | {CPU_TRIP, "memory_total_bytes", "gpu_memory_total_bytes"}
CORES_METRICS = frozenset({"job_cpu_seconds_total", "other_cpu_seconds_total", "cpu_busy_seconds_total"})
"""CPU time that several cores spend at once: more than 100 % of one."""


@dataclass(frozen=True)
class _Form:
    """How values of a base unit are shown."""

    unit: str
    factor: float


GAUGES = {
    "celsius": _Form("°C", 1.0),
    "ratio": _Form("%", 100.0),
    "hertz": _Form("MHz", 1e-6),
    "bytes": _Form("MiB", 1 / MIB),
    "watts": _Form("W", 1.0),
    "joules": _Form("J", 1.0),
    "amperes": _Form("A", 1.0),
    "volts": _Form("V", 1.0),
    "seconds": _Form("s", 1.0),
    "1": _Form("", 1.0),
}
RATES = {
    "seconds": _Form("%", 100.0),
    "bytes": _Form("MiB/s", 1 / MIB),
    "joules": _Form("W", 1.0),
    "1": _Form("per s", 1.0),
}


def rows(telemetry: Telemetry) -> list[str]:
    """Keys of the series that become rows, also those without a value."""
    return [key for key, info in telemetry.info.items() if info.metric not in HIDDEN and key in telemetry.series]


def component(key: str, info: SeriesInfo) -> Component:
    """The row of a series."""
    form = _form(info)
    labels = ", ".join(f"{name} {value}" for name, value in info.labels.items())
    name = NAMES.get(info.metric) or f"{group_of(info.metric).capitalize()}: {name_of(info.metric)}"
    if info.metric in CORES_METRICS:
        form = _Form("% of a core", form.factor)
    return Component(
        key=key,
        name=f"{name}, {labels}" if labels else name,
        unit=form.unit,
        primary=info.metric in PRIMARY and not info.labels,
        zero_based=info.unit != "celsius",
        most=100.0 if form.unit == "%" else None,
        source=info.source,
    )


def order(key: str, info: SeriesInfo) -> tuple[int, int, str]:
    """Sorts rows: what people look for first, whole before parts, then by name."""
    names = list(NAMES)
    return (names.index(info.metric) if info.metric in NAMES else len(names), len(info.labels), key)


def values(telemetry: Telemetry, key: str) -> list[float | None]:
    """A series in the unit of its row; a counter as its rate since the sample before."""
    info, raw = telemetry.info[key], telemetry.series[key]
    form = _form(info)
    found = raw if info.kind is MetricKind.GAUGE else _rates(telemetry.t_s, raw)
    return [None if value is None else significant(value * form.factor) for value in found]


def limit(telemetry: Telemetry, key: str) -> float | None:
    """Where the hardware begins to hold itself back, as far as it says so."""
    metric = LIMITS.get(telemetry.info[key].metric)
    known = [value for value in telemetry.series.get(metric, []) if value is not None] if metric else []
    return known[-1] if known else None


def significant(value: float) -> float:
    """Four digits that count: more cannot be seen in a chart."""
    return float(f"{value:.4g}")


def _form(info: SeriesInfo) -> _Form:
    forms = GAUGES if info.kind is MetricKind.GAUGE else RATES
    return forms.get(info.unit) or _Form(info.unit if info.kind is MetricKind.GAUGE else f"{info.unit}/s", 1.0)


def _rates(t_s: Sequence[float], counts: Sequence[float | None]) -> list[float | None]:
    """Growth in a second since the sample before."""
    pairs = pairwise(zip(t_s, counts, strict=True))
    found: list[float | None] = [None, *(rate(*before, *now) for before, now in pairs)]
    return found[: len(counts)]

"""Telemetry samples as readings for people: grouped, counters as rates, units that fit. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass

from contract.telemetry import MetricKind, SeriesInfo, TelemetrySample

GROUPS = {
    "cpu": "CPU",
    "memory": "memory",
    "disk": "disk",
    "network": "network",
    "gpu": "GPU",
    "power": "power",
    "energy": "power",
    "temperature": "temperatures",
    "pressure": "pressure",
    "cgroup": "container",
    "other": "other programs",
    "job": "job",
}
"""Titles of groups by the first word of a metric, in the order in which they are shown."""
UNIT_WORDS = frozenset(
    {"celsius", "ratio", "hertz", "bytes", "seconds", "watts", "joules", "amperes", "volts", "total"}
)
STALE_BEATS = 3
"""Beats without a sample after which what is shown is no longer the present."""


@dataclass(frozen=True)
class Reading:
    """A metric with all its series."""

    group: str
    name: str
    values: Mapping[str, str]
    """Texts by the labels of the series, `` for the one without."""


def readings(sample: TelemetrySample, before: TelemetrySample | None = None) -> list[Reading]:
    """What a sample says, group by group; counters as rates since the sample before. Absent values are left out."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for key, value in sample.values.items():
        info = sample.info.get(key)
        if value is None or info is None:
            continue
        text = _text(key, value, info, sample, before)
        if text is not None:
            labels = " ".join(info.labels.values())
            found.setdefault((group_of(info.metric), name_of(info.metric)), {})[labels] = text
    titles = list(dict.fromkeys(GROUPS.values()))
    order = sorted(found, key=lambda key: titles.index(key[0]) if key[0] in titles else len(titles))
    return [Reading(group, name, found[group, name]) for group, name in order]


def group_of(metric: str) -> str:
    """The title of the group a metric belongs to."""
    first = metric.partition("_")[0]
    return GROUPS.get(first, first)


def name_of(metric: str) -> str:
    """A metric's name without group and unit, as words."""
    words = metric.removesuffix("_total").split("_")
    if len(words) > 1 and words[-1] in UNIT_WORDS:
        words.pop()
    return " ".join(words[1:] or words)


def _text(
    key: str, value: float, info: SeriesInfo, sample: TelemetrySample, before: TelemetrySample | None
) -> str | None:
    if info.kind is MetricKind.GAUGE:
        return human(value, info.unit)
    if before is None:
        return None
    growth = rate(before.t_s, before.values.get(key), sample.t_s, value)
    return None if growth is None else human_rate(growth, info.unit)


def rate(t0_s: float, before: float | None, t1_s: float, now: float | None) -> float | None:
    """A counter's growth in a second; None where a value is missing, or the counter began anew."""
    if before is None or now is None or now < before or t1_s <= t0_s:
        return None
    return (now - before) / (t1_s - t0_s)


def human(value: float, unit: str) -> str:
    """A value in the unit that people read."""
    if unit == "celsius":
        return f"{value:.1f} °C"
    if unit == "ratio":
        return f"{100 * value:.0f} %"
    if unit == "bytes":
        return _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
    if unit == "hertz":
        return _scaled(value, 1000, ("Hz", "kHz", "MHz", "GHz"))
    symbol = {"watts": "W", "joules": "J", "amperes": "A", "volts": "V", "seconds": "s", "1": ""}.get(unit, unit)
    return f"{value:.2f} {symbol}".rstrip()


def human_rate(rate: float, unit: str) -> str:
    """A counter's growth in a second; seconds a second are a share of the time, joules a second are watts."""
    if unit == "seconds":
        return f"{100 * rate:.0f} %"
    if unit == "joules":
        return human(rate, "watts")
    return f"{human(rate, unit)}/s"


def _scaled(value: float, base: int, units: tuple[str, ...]) -> str:
    power = 0
    while abs(value) >= base and power < len(units) - 1:
        value, power = value / base, power + 1
    return f"{value:.0f} {units[0]}" if power == 0 else f"{value:.1f} {units[power]}"


def unavailable(sample: TelemetrySample) -> dict[str, list[str]]:
    """Metrics that this device does not give, by the reason."""
    reasons: dict[str, list[str]] = {}
    for metric, reason in sample.unavailable.items():
        reasons.setdefault(reason, []).append(metric)
    return reasons

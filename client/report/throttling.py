"""When the hardware held itself back, from the recording's own flags and counters."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from client.report.model import Span
from contract.telemetry import Telemetry

LEVEL_METRICS = {
    "throttle_active": "firmware",
    "under_voltage_alarm": "supply voltage",
    "gpu_throttle_active": "GPU",
}
"""Above zero while something holds back."""
COUNTER_METRICS = {"cpu_throttle_events_total": "CPU", "cgroup_cpu_throttled_periods_total": "CPU quota"}
"""Grow while something holds back."""
STATE_METRIC = "cooling_state"
"""Above its first value while something cools by slowing down."""
HARMLESS_REASONS = frozenset({"power_cap"})
"""A GPU at its power limit is in its normal state under full load."""


def throttled(telemetry: Telemetry) -> list[Span]:
    """Stretches in which something held back, each with its cause; a sample counts until the next one."""
    spans = [span for key in telemetry.series for span in _spans(telemetry, key)]
    return sorted(spans, key=lambda span: (span.start_s, span.name))


def watched(telemetry: Telemetry) -> list[str]:
    """Which causes this device could have told of."""
    words = (_cause(telemetry, key) for key, values in telemetry.series.items() if any(v is not None for v in values))
    return list(dict.fromkeys(word for word in words if word))


def _cause(telemetry: Telemetry, key: str) -> str | None:
    info = telemetry.info.get(key)
    if info is None or info.labels.get("reason") in HARMLESS_REASONS:
        return None
    word = LEVEL_METRICS.get(info.metric) or COUNTER_METRICS.get(info.metric)
    if info.metric == STATE_METRIC:
        word = f"cooling by {info.labels.get('kind', key)}"
    reason = info.labels.get("reason", "").replace("_", " ")
    return f"{word}: {reason}" if word and reason else word


def _spans(telemetry: Telemetry, key: str) -> Iterable[Span]:
    cause = _cause(telemetry, key)
    values = telemetry.series[key]
    if cause is None or len(values) < 2:
        return []
    if telemetry.info[key].metric in COUNTER_METRICS:
        active = [False, *((b or 0) > (a or 0) and a is not None for a, b in pairwise(values))]
        active = [*active[1:], False]  # what grew between two samples happened before the second
    else:
        known = [value for value in values if value is not None]
        base = known[0] if known and telemetry.info[key].metric == STATE_METRIC else 0.0
        active = [value is not None and value > base for value in values]
    return _stretches(telemetry.t_s, active, telemetry.interval_s, cause)


def _stretches(t_s: Sequence[float], active: Sequence[bool], interval_s: float, cause: str) -> list[Span]:
    spans: list[Span] = []
    for index, on in enumerate(active):
        if not on:
            continue
        end_s = t_s[index + 1] if index + 1 < len(t_s) else t_s[index] + interval_s
        if spans and spans[-1].end_s >= t_s[index]:
            spans[-1].end_s = end_s
        else:
            spans.append(Span(name=cause, start_s=t_s[index], end_s=end_s))
    return spans

"""Energy of an inference, only from power or energy that was measured in the timed phase."""

from itertools import pairwise

from client.report.recordings import timed_phase
from contract.telemetry import Telemetry

SOURCES = {
    "power_total_watts": "power of the whole device",
    "energy_joules_total": "energy counter of the CPU package",
}


def mean_power(telemetry: Telemetry) -> tuple[float, str] | None:
    """Watts in the timed phase and what was measured; None without two samples in it.

    Power is integrated by the trapezoidal rule over the true times of the samples.
    """
    phase = timed_phase(telemetry)
    if phase is None:
        return None
    for metric, source in SOURCES.items():
        points = _points(telemetry, metric, *phase)
        if len(points) < 2 or points[-1][0] <= points[0][0]:
            continue
        seconds = points[-1][0] - points[0][0]
        if metric == "power_total_watts":
            joules = sum((t1 - t0) * (a + b) / 2 for (t0, a), (t1, b) in pairwise(points))
        else:
            joules = points[-1][1] - points[0][1]
        if joules > 0:
            return joules / seconds, source
    return None


def _points(telemetry: Telemetry, metric: str, begin: float, end: float) -> list[tuple[float, float]]:
    """Times and values of a metric's series in the phase; several packages add up."""
    keys = [key for key, info in telemetry.info.items() if info.metric == metric and key in telemetry.series]
    points = []
    for index, t in enumerate(telemetry.t_s):
        values = [telemetry.series[key][index] for key in keys]
        known = [value for value in values if value is not None]
        if begin <= t <= end and known and len(known) == len(values):
            points.append((t, sum(known)))
    return points

"""Checks of the measured numbers themselves: whether they wander, and whether they scatter."""

import statistics
from collections.abc import Sequence

from contract.results import Window
from contract.validity import CheckCode, Finding, Verdict
from server.validity.phase_samples import NotCheckable

DRIFT_SUSPECT = 0.05
DRIFT_UNRELIABLE = 0.10
"""A share of the first third's median. AndroidX Benchmark calls work that is 10 % slower throttled; half is a hint."""
DRIFT_SAMPLES_MIN = 30
"""Ten a third: with fewer the median of a third is itself a matter of chance."""
NOISE_MAX = 0.10
"""Standard deviation over mean; the limit at which pyperf warns."""
NOISE_SAMPLES_MIN = 10
TAIL_SHARE = 0.01
"""Left out at either end of the samples before their scatter is taken: one pause of the system in a thousand
inferences is a matter for p99, not a reason to doubt the median."""
WINDOWS = 3
WINDOW_SPREAD_MAX = 0.10
"""Largest over smallest of the last three, minus one; perf_analyzer's rule for a stable run, for rate and latency."""


def drift(samples_ms: Sequence[float]) -> list[Finding]:
    """Compare the medians of the last and the first third of the samples."""
    count = len(samples_ms)
    if count < DRIFT_SAMPLES_MIN:
        raise NotCheckable(_too_few(count, DRIFT_SAMPLES_MIN))
    first, last = statistics.median(samples_ms[: count // 3]), statistics.median(samples_ms[-(count // 3) :])
    change = last / first - 1 if first > 0 else 0.0
    if abs(change) <= DRIFT_SUSPECT:
        return []
    verdict = Verdict.UNRELIABLE if abs(change) > DRIFT_UNRELIABLE else Verdict.SUSPECT
    way = "slower" if change > 0 else "faster"
    detail = f"the last third was {abs(change):.1%} {way} than the first ({last:.3g} ms after {first:.3g} ms)"
    return [Finding(code=CheckCode.DRIFT, verdict=verdict, detail=detail)]


def noisy(samples_ms: Sequence[float], windows: Sequence[Window]) -> list[Finding]:
    """Look at the scatter of the samples, and at the last windows against each other."""
    count = len(samples_ms)
    if count < NOISE_SAMPLES_MIN:
        raise NotCheckable(_too_few(count, NOISE_SAMPLES_MIN))
    details = []
    tail = int(count * TAIL_SHARE)
    core = sorted(samples_ms)[tail : count - tail]
    mean = statistics.fmean(core)
    if mean > 0 and (scatter := statistics.stdev(core) / mean) > NOISE_MAX:
        details.append(f"the latencies scatter by {scatter:.0%} of their mean")
    whole = windows[:-1] if _is_remainder(windows) else windows
    if len(whole) >= WINDOWS:
        last = whole[-WINDOWS:]
        for name, values in (("rate", [each.fps for each in last]), ("latency", [each.p50_ms for each in last])):
            if min(values) > 0 and (spread := max(values) / min(values) - 1) > WINDOW_SPREAD_MAX:
                details.append(f"the {name} of the last {WINDOWS} windows differs by {spread:.0%}")
    return [Finding(code=CheckCode.NOISY, verdict=Verdict.SUSPECT, detail="; ".join(details))] if details else []


def _is_remainder(windows: Sequence[Window]) -> bool:
    """Whether the last window is only what was left when the measurement ended, too little for a rate."""
    if len(windows) < 2:
        return False
    before, last = (window.end_s - window.start_s for window in windows[-2:])
    return last < before / 2


def _too_few(count: int, needed: int) -> str:
    return f"{count} latency samples, {needed} are needed" if count else "no latencies were measured"

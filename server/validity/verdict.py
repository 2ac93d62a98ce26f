"""The verdict on a measurement: what went wrong while it ran, and what could not be looked at.

docs/validity.md explains every code for whoever reads a verdict.
"""

from collections.abc import Callable, Sequence
from functools import partial

from contract.results import Probe, Window
from contract.telemetry import Telemetry
from contract.validity import CheckCode, Finding, Validity, Verdict
from server.validity import checks
from server.validity.phase_samples import NotCheckable, PhaseSamples
from server.validity.stability import drift, noisy

_ORDER = list(Verdict)
Check = Callable[[], Sequence[Finding]]

OF_THE_PHASE: dict[CheckCode, Callable[[PhaseSamples], Sequence[Finding]]] = {
    CheckCode.THROTTLE_FLAG: checks.throttle_flag,
    CheckCode.UNDER_VOLTAGE: checks.under_voltage,
    CheckCode.COOLING_ACTIVE: checks.cooling_active,
    CheckCode.CLOCK_DROP: checks.clock_drop,
    CheckCode.CPU_QUOTA: checks.cpu_quota,
    CheckCode.CONTENTION: checks.contention,
    CheckCode.SAMPLER_GAP: checks.sampler_gap,
}
"""Checks that look at one phase of the recording."""


def judge(
    telemetry: Telemetry | None,
    probe: Probe | None,
    *,
    samples_ms: Sequence[float] = (),
    windows: Sequence[Window] = (),
    phase: str = "timed",
) -> Validity:
    """Make every check there is evidence for.

    Only what was sampled within the phase counts, with the nearest samples around it for counters. The others are
    listed as not checkable, with the reason; without samples of latency nothing is said about drift and noise.
    """
    to_make: dict[CheckCode, Check] = {
        CheckCode.PROBE_SLOW: partial(checks.probe_slow, probe),
        CheckCode.DRIFT: partial(drift, samples_ms),
        CheckCode.NOISY: partial(noisy, samples_ms, windows),
        CheckCode.HOT_START: partial(checks.hot_start, telemetry),
        **{code: partial(_in_phase, check, telemetry, phase) for code, check in OF_THE_PHASE.items()},
    }
    reasons: list[Finding] = []
    checked: list[CheckCode] = []
    not_checkable: dict[CheckCode, str] = {}
    for code in CheckCode:
        try:
            reasons.extend(to_make[code]())
            checked.append(code)
        except NotCheckable as why:
            not_checkable[code] = str(why)
    reasons.sort(key=lambda finding: _ORDER.index(finding.verdict), reverse=True)
    verdict = reasons[0].verdict if reasons else Verdict.OK
    return Validity(verdict=verdict, reasons=reasons, checked=checked, not_checkable=not_checkable)


def _in_phase(
    check: Callable[[PhaseSamples], Sequence[Finding]], telemetry: Telemetry | None, phase: str
) -> Sequence[Finding]:
    return check(PhaseSamples(telemetry, phase))

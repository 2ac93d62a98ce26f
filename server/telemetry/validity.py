"""The verdict on a measurement: what went wrong while it ran, and what could not be looked at.

docs/validity.md explains every code for whoever reads a verdict.
"""

from collections.abc import Callable, Sequence
from functools import partial

from contract.jobs import Probe, Window
from contract.telemetry import Telemetry
from contract.validity import CheckCode, Finding, Validity, Verdict
from server.telemetry import checks
from server.telemetry.cut import Cut, NotCheckable
from server.telemetry.numbers import drift, noisy

_ORDER = list(Verdict)
Check = Callable[[], Sequence[Finding]]


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

    def of_cut(check: Callable[[Cut], Sequence[Finding]]) -> Sequence[Finding]:
        return check(Cut(telemetry, phase))

    made: dict[CheckCode, Check] = {
        CheckCode.THROTTLE_FLAG: partial(of_cut, checks.throttle_flag),
        CheckCode.UNDER_VOLTAGE: partial(of_cut, checks.under_voltage),
        CheckCode.COOLING_ACTIVE: partial(of_cut, checks.cooling_active),
        CheckCode.CLOCK_DROP: partial(of_cut, checks.clock_drop),
        CheckCode.PROBE_SLOW: partial(checks.probe_slow, probe),
        CheckCode.CPU_QUOTA: partial(of_cut, checks.cpu_quota),
        CheckCode.DRIFT: partial(drift, samples_ms),
        CheckCode.NOISY: partial(noisy, samples_ms, windows),
        CheckCode.CONTENTION: partial(of_cut, checks.contention),
        CheckCode.HOT_START: partial(checks.hot_start, telemetry),
        CheckCode.SAMPLER_GAP: partial(of_cut, checks.sampler_gap),
    }
    reasons: list[Finding] = []
    checked: list[CheckCode] = []
    not_checkable: dict[CheckCode, str] = {}
    for code, check in made.items():
        try:
            reasons.extend(check())
            checked.append(code)
        except NotCheckable as why:
            not_checkable[code] = str(why)
    reasons.sort(key=lambda finding: _ORDER.index(finding.verdict), reverse=True)
    verdict = reasons[0].verdict if reasons else Verdict.OK
    return Validity(verdict=verdict, reasons=reasons, checked=checked, not_checkable=not_checkable)

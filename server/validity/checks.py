"""Checks of what the sensors said. Each gives its findings, or raises NotCheckable where the sensors are missing."""

import statistics
from collections.abc import Callable, Sequence

from contract.results import Probe
from contract.telemetry import CPU_TEMPERATURE, CPU_TRIP, Telemetry
from contract.validity import CheckCode, Finding, Verdict
from server.validity.phase_samples import NotCheckable, PhaseSamples, when_work_began

UNDER_VOLTAGE = "under_voltage"
GPU_THERMAL = ("software_thermal", "hardware_thermal")
"""Those of NVML's clock event reasons that mean heat; a power cap is a GPU's normal state under full load."""
CLOCK_SHARE_MIN = 0.90
"""A share of the warm median. A turbo step is 2 to 5 %; a Pi that throttles goes from 1.5 to 1.4 GHz and below."""
CLOCK_SAMPLES = 3
"""The number of samples in a row."""
LOAD_MIN_CORES = 0.5
"""The least busy core whose clock says something: governors lower that of idle CPUs."""
PROBE_SLOWER_MAX = 0.10
"""AndroidX Benchmark's limit for its own fixed piece of work."""
PRESSURE_MAX = 0.10
"""Share of time in which some task waited for a CPU."""
STEAL_MAX = 0.01
"""Share of all CPUs' time that the host of this virtual machine gave to others."""
OTHERS_MAX_CORES = 0.10
"""The share of a core that other processes than the job's and the agent's use."""
RATE_SECONDS_MIN = 1.0
"""The kernel counts CPU time in hundredths of a second and several counters are compared: over less time the
rounding alone looks like somebody else."""
HEADROOM_CELSIUS = 10.0
"""Degrees below the first passive trip point; nsight-python waits for as much before it measures."""
MISSED_MAX = 0.01
LATE_MAX = 0.20
"""A share of the interval."""

_Look = Callable[[], list[str]]


def throttle_flag(cut: PhaseSamples) -> list[Finding]:
    """A flag of the hardware that says it holds itself back."""

    def pi() -> list[str]:
        live = [key for key in cut.keys("throttle_active") if _reason(cut, key) != UNDER_VOLTAGE]
        sticky = [grown.key for grown in cut.growth("throttle_since_boot") if grown.by > 0]
        sticky = [key for key in sticky if _reason(cut, key) != UNDER_VOLTAGE]
        return [*_raised(cut, live, "was set"), *(f"{_reason(cut, key)} happened" for key in sticky)]

    def nvidia() -> list[str]:
        keys = [key for key in cut.keys("gpu_throttle_active") if _reason(cut, key) in GPU_THERMAL]
        return _raised(cut, keys, "slowed the GPU down")

    def intel() -> list[str]:
        grown = sum(each.by for each in cut.growth("cpu_throttle_events_total"))
        return [f"the CPU slowed itself down {grown:.0f} times"] if grown > 0 else []

    return _findings(CheckCode.THROTTLE_FLAG, Verdict.UNRELIABLE, _any_of(pi, nvidia, intel))


def under_voltage(cut: PhaseSamples) -> list[Finding]:
    """A supply that is too weak."""

    def flag() -> list[str]:
        live = _raised(cut, cut.keys("throttle_active", reason=UNDER_VOLTAGE), "was set")
        grown = [each for each in cut.growth("throttle_since_boot") if _reason(cut, each.key) == UNDER_VOLTAGE]
        return live or ["it happened between two samples" for each in grown if each.by > 0]

    def alarm() -> list[str]:
        return ["the supply's alarm was on"] if any(cut.values(cut.keys("under_voltage_alarm")[0])) else []

    return _findings(CheckCode.UNDER_VOLTAGE, Verdict.UNRELIABLE, _any_of(flag, alarm))


def cooling_active(cut: PhaseSamples) -> list[Finding]:
    """A device that cools by slowing down went further than it was when the work began."""
    details = []
    for key in cut.keys("cooling_state"):
        before, most = cut.before(key), max(cut.values(key), default=0.0)
        if before is not None and most > before:
            kind = cut.telemetry.info[key].labels.get("kind", key)
            details.append(f"{kind} rose from {before:.0f} to {most:.0f}")
    return _findings(CheckCode.COOLING_ACTIVE, Verdict.UNRELIABLE, details)


def clock_drop(cut: PhaseSamples) -> list[Finding]:
    """The fastest clock under load fell below the warm one, for several samples in a row."""
    clocks = cut.keys("cpu_frequency_hertz")
    shares = [key for key in cut.keys("cpu_utilization_ratio") if cut.telemetry.info[key].labels] or cut.keys(
        "cpu_utilization_ratio"
    )

    def under_load(samples: Sequence[int]) -> list[float]:
        fastest = []
        for clock, share in zip(cut.rows(clocks, samples), cut.rows(shares, samples), strict=True):
            known = [value for value in clock if value is not None]
            if known and sum(value or 0.0 for value in share) >= LOAD_MIN_CORES:
                fastest.append(max(known))
        return fastest

    timed = under_load(cut.inside)
    # Not the median of the whole phase: where the clock fell early, most of the phase is slow.
    warm = [*under_load(cut.samples_of("warm-up")), *timed[: max(CLOCK_SAMPLES, len(timed) // 3)]]
    if len(timed) < CLOCK_SAMPLES:
        raise NotCheckable(f"{len(timed)} samples of the clock under load, {CLOCK_SAMPLES} are needed")
    reference = statistics.median(warm)
    run = longest = 0
    for clock in timed:
        run = run + 1 if clock < CLOCK_SHARE_MIN * reference else 0
        longest = max(longest, run)
    if longest < CLOCK_SAMPLES:
        return []
    detail = f"the clock fell to {min(timed) / 1e6:.0f} MHz from {reference / 1e6:.0f} MHz, for {longest} samples"
    return _findings(CheckCode.CLOCK_DROP, Verdict.UNRELIABLE, [detail])


def probe_slow(probe: Probe | None) -> list[Finding]:
    """The fixed piece of work took longer after the measurement than before."""
    if probe is None or probe.after_ms is None:
        raise NotCheckable("the fixed piece of work was not timed before and after")
    slower = probe.after_ms / probe.before_ms - 1 if probe.before_ms > 0 else 0.0
    if slower <= PROBE_SLOWER_MAX:
        return []
    detail = f"a fixed piece of work took {slower:.0%} longer afterwards ({probe.after_ms:.1f} ms)"
    return _findings(CheckCode.PROBE_SLOW, Verdict.UNRELIABLE, [detail])


def cpu_quota(cut: PhaseSamples) -> list[Finding]:
    """The control group had used up its CPU time."""
    grown = sum(each.by for each in cut.growth("cgroup_cpu_throttled_periods_total"))
    details = [f"the control group was stopped in {grown:.0f} periods"] if grown > 0 else []
    return _findings(CheckCode.CPU_QUOTA, Verdict.UNRELIABLE, details)


def contention(cut: PhaseSamples) -> list[Finding]:
    """Somebody else wanted the CPUs too."""
    cores = max(1, len([key for key in cut.keys("cpu_utilization_ratio") if cut.telemetry.info[key].labels]))

    def rate(metric: str) -> float:
        grown = cut.growth(metric)[0]
        if grown.seconds < RATE_SECONDS_MIN:
            raise NotCheckable(f"{metric}: the phase lasted less than {RATE_SECONDS_MIN:.0f} s")
        return grown.by / grown.seconds

    def pressure() -> list[str]:
        share = rate("pressure_cpu_waiting_seconds_total")
        return [f"tasks waited for a CPU {share:.0%} of the time"] if share > PRESSURE_MAX else []

    def steal() -> list[str]:
        share = rate("cpu_steal_seconds_total") / cores
        return [f"the host of this virtual machine took {share:.1%} of the CPUs"] if share > STEAL_MAX else []

    def others() -> list[str]:
        used = rate("other_cpu_seconds_total")
        return [f"other processes used {used:.2f} of a core"] if used > OTHERS_MAX_CORES else []

    return _findings(CheckCode.CONTENTION, Verdict.SUSPECT, _any_of(pressure, steal, others))


def hot_start(telemetry: Telemetry | None) -> list[Finding]:
    """The CPU was already close to where it is slowed down. Looks at the work's beginning, not the phase."""
    if telemetry is None or not telemetry.t_s:
        raise NotCheckable("no telemetry was recorded")
    found: list[float] = []
    for metric in (CPU_TEMPERATURE, CPU_TRIP):
        keys = [key for key, info in telemetry.info.items() if info.metric == metric]
        value = when_work_began(telemetry, keys[0]) if keys else None
        if value is None:
            raise NotCheckable(f"{metric}: {telemetry.unavailable.get(metric, 'it was never read')}")
        found.append(value)
    start, trip = found
    if start <= trip - HEADROOM_CELSIUS:
        return []
    detail = f"it began at {start:.0f} degrees Celsius; the CPU is slowed down from {trip:.0f}"
    return _findings(CheckCode.HOT_START, Verdict.SUSPECT, [detail])


def sampler_gap(cut: PhaseSamples) -> list[Finding]:
    """The recording itself has holes."""
    samples, missed, late_s = cut.beats()
    details = []
    if missed > MISSED_MAX * (samples + missed):
        details.append(f"{missed} of {samples + missed} samples were missed")
    if late_s > LATE_MAX * cut.telemetry.interval_s:
        details.append(f"a sample came {late_s * 1e3:.0f} ms late")
    return _findings(CheckCode.SAMPLER_GAP, Verdict.SUSPECT, details)


def _findings(code: CheckCode, verdict: Verdict, details: Sequence[str]) -> list[Finding]:
    return [Finding(code=code, verdict=verdict, detail="; ".join(details))] if details else []


def _any_of(*looks: _Look) -> list[str]:
    """What any of several kinds of evidence says; raises NotCheckable when there is none of them."""
    details: list[str] = []
    missing: list[str] = []
    for look in looks:
        try:
            details.extend(look())
        except NotCheckable as why:
            missing.append(str(why))
    if len(missing) == len(looks):
        raise NotCheckable("; ".join(missing))
    return details


def _reason(cut: PhaseSamples, key: str) -> str:
    return cut.telemetry.info[key].labels.get("reason", key)


def _raised(cut: PhaseSamples, keys: Sequence[str], what: str) -> list[str]:
    return [f"{_reason(cut, key)} {what}" for key in keys if any(cut.values(key))]

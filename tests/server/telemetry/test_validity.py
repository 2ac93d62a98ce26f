"""Every check finds what it is for, stays silent on a calm machine, and says when it is blind."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.results import Probe, Window
from contract.telemetry import Phase, SamplerQuality, Telemetry
from contract.validity import CheckCode, Validity, Verdict
from server.telemetry.recorder import Recorder
from server.telemetry.sensors import Sensors
from server.telemetry.series import counter, gauge, key_of
from server.validity.fixed_work import fixed_work_ms
from server.validity.verdict import judge
from tests.server.telemetry import trees

INTERVAL_S = 1.0
COUNT = 21
START, END = 5, 15
"""Samples at 0, 1, ... 20 s; idle until 2, warm-up until 5, timed until 15, then cool-down."""

Values = Sequence[float | None]
GHZ = 1e9
INFOS = [
    gauge("cpu_utilization_ratio", "ratio", "test"),
    *(gauge("cpu_utilization_ratio", "ratio", "test", {"cpu": core}) for core in "01"),
    *(gauge("cpu_frequency_hertz", "hertz", "test", {"cpu": core}) for core in "01"),
    gauge("cpu_temperature_celsius", "celsius", "test"),
    gauge("cpu_temperature_trip_celsius", "celsius", "test"),
    *(gauge("throttle_active", "1", "test", {"reason": r}) for r in ("under_voltage", "throttled")),
    *(gauge("throttle_since_boot", "1", "test", {"reason": r}) for r in ("under_voltage", "throttled")),
    *(gauge("gpu_throttle_active", "1", "test", {"reason": r}) for r in ("power_cap", "hardware_thermal")),
    gauge("under_voltage_alarm", "1", "test"),
    gauge("cooling_state", "1", "test", {"device": "cooling_device0", "kind": "cpufreq"}),
    *(
        counter(metric, "seconds", "test")
        for metric in (
            *("cpu_steal_seconds_total", "pressure_cpu_waiting_seconds_total", "other_cpu_seconds_total"),
            *("cgroup_cpu_throttled_periods_total", "cpu_throttle_events_total"),
        )
    ),
]
CALM = {
    "cpu_utilization_ratio": 0.5,
    "cpu_frequency_hertz": 1.5 * GHZ,
    "cpu_temperature_celsius": 50.0,
    "cpu_temperature_trip_celsius": 85.0,
}
SAMPLES_MS = [10 + 0.1 * (i % 7) for i in range(300)]


def during(value: float, calm: float = 0.0, since: int = START + 4, until: int = START + 8) -> Values:
    """A gauge that is different for some seconds of the timed phase."""
    return [value if since <= at < until else calm for at in range(COUNT)]


def growing(rate: float, since: int = START, until: int = END) -> Values:
    """A counter that grows between two samples."""
    return [rate * (min(max(at, since), until) - since) for at in range(COUNT)]


def recording(changes: Mapping[str, Values] = {}, t_s: Sequence[float] = ()) -> Telemetry:
    """A calm machine, but for some series."""
    info = {key_of(each): each for each in INFOS}
    series = {key: list(changes.get(key, [CALM.get(each.metric, 0.0)] * COUNT)) for key, each in info.items()}
    marks = [("idle", 0, 2), ("warm-up", 2, START), ("timed", START, END), ("cool-down", END, 20)]
    times = list(t_s) or [at * INTERVAL_S + 0.001 for at in range(COUNT)]
    return Telemetry(
        interval_s=INTERVAL_S,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        t_s=times,
        series={key: values[: len(times)] for key, values in series.items()},
        info=info,
        unavailable={},
        phases=[Phase(name=name, start_s=start, end_s=end) for name, start, end in marks],
        quality=SamplerQuality(samples=COUNT, missed=0, late_s_max=0.001, self_cpu_ratio=0.001),
    )


def windows(*fps: float) -> list[Window]:
    """Windows of one second."""
    return [
        Window(start_s=i, end_s=i + 1, iterations=round(f), fps=f, p50_ms=1000 / f, max_ms=2000 / f)
        for i, f in enumerate(fps)
    ]


def verdict_of(
    changes: Mapping[str, Values] = {},
    *,
    telemetry: Telemetry | None = None,
    probe: Probe | None = Probe(before_ms=50, after_ms=51),  # noqa: B008
    samples_ms: Sequence[float] = SAMPLES_MS,
    last: Sequence[Window] = (),
) -> Validity:
    """Judge a recording."""
    return judge(telemetry or recording(changes), probe, samples_ms=samples_ms, windows=last)


def test_a_calm_machine_is_ok_and_everything_was_looked_at() -> None:
    """No finding, no blind spot."""
    validity = verdict_of(last=windows(100, 101, 99))
    assert validity == Validity(verdict=Verdict.OK, reasons=[], checked=list(CheckCode), not_checkable={})


FREQUENCIES = [f'cpu_frequency_hertz{{cpu="{core}"}}' for core in "01"]
POSITIVE: list[tuple[CheckCode, Verdict, dict[str, Values]]] = [
    (CheckCode.THROTTLE_FLAG, Verdict.UNRELIABLE, {'throttle_active{reason="throttled"}': during(1)}),
    (CheckCode.THROTTLE_FLAG, Verdict.UNRELIABLE, {'throttle_since_boot{reason="throttled"}': during(1, until=99)}),
    (CheckCode.THROTTLE_FLAG, Verdict.UNRELIABLE, {'gpu_throttle_active{reason="hardware_thermal"}': during(1)}),
    (CheckCode.THROTTLE_FLAG, Verdict.UNRELIABLE, {"cpu_throttle_events_total": growing(1)}),
    (CheckCode.UNDER_VOLTAGE, Verdict.UNRELIABLE, {'throttle_active{reason="under_voltage"}': during(1)}),
    (CheckCode.UNDER_VOLTAGE, Verdict.UNRELIABLE, {'throttle_since_boot{reason="under_voltage"}': during(1, until=99)}),
    (CheckCode.UNDER_VOLTAGE, Verdict.UNRELIABLE, {"under_voltage_alarm": during(1)}),
    (
        CheckCode.COOLING_ACTIVE,
        Verdict.UNRELIABLE,
        {'cooling_state{device="cooling_device0",kind="cpufreq"}': during(2, calm=1)},
    ),
    (
        CheckCode.COOLING_ACTIVE,
        Verdict.UNRELIABLE,
        {'cooling_state{device="cooling_device0",kind="cpufreq"}': [2.0, *[0.0] * 7, *[1.0] * (COUNT - 8)]},
    ),
    (CheckCode.CLOCK_DROP, Verdict.UNRELIABLE, dict.fromkeys(FREQUENCIES, during(1.2 * GHZ, calm=1.5 * GHZ))),
    (CheckCode.CPU_QUOTA, Verdict.UNRELIABLE, {"cgroup_cpu_throttled_periods_total": growing(1)}),
    (CheckCode.CONTENTION, Verdict.SUSPECT, {"pressure_cpu_waiting_seconds_total": growing(0.2)}),
    (CheckCode.CONTENTION, Verdict.SUSPECT, {"cpu_steal_seconds_total": growing(0.1)}),
    (CheckCode.CONTENTION, Verdict.SUSPECT, {"other_cpu_seconds_total": growing(0.3)}),
    (CheckCode.HOT_START, Verdict.SUSPECT, {"cpu_temperature_celsius": [78.0] * COUNT}),
]


@pytest.mark.parametrize(("code", "verdict", "changes"), POSITIVE)
def test_each_sensor_check_finds_what_it_is_for(code: CheckCode, verdict: Verdict, changes: dict[str, Values]) -> None:
    """One thing goes wrong, one finding says which, and nothing else is blamed."""
    validity = verdict_of(changes)
    assert [(finding.code, finding.verdict) for finding in validity.reasons] == [(code, verdict)]
    assert validity.verdict is verdict
    assert validity.reasons[0].detail


NEGATIVE: list[dict[str, Values]] = [
    {'throttle_active{reason="throttled"}': during(1, since=0, until=4)},
    {'throttle_since_boot{reason="throttled"}': [1.0] * COUNT},
    {'gpu_throttle_active{reason="power_cap"}': [1.0] * COUNT},
    {'cooling_state{device="cooling_device0",kind="cpufreq"}': [2.0] * COUNT},
    {'cooling_state{device="cooling_device0",kind="cpufreq"}': during(3, since=17, until=19)},
    dict.fromkeys(FREQUENCIES, during(1.2 * GHZ, calm=1.5 * GHZ, until=START + 6)),
    dict.fromkeys(FREQUENCIES, during(1.4 * GHZ, calm=1.5 * GHZ)),
    {FREQUENCIES[0]: [0.6 * GHZ] * COUNT},
    dict.fromkeys(FREQUENCIES, during(0.6 * GHZ, calm=1.5 * GHZ, since=0, until=3)),
    {"cgroup_cpu_throttled_periods_total": growing(1, since=0, until=4)},
    {"cgroup_cpu_throttled_periods_total": [7.0] * COUNT},
    {"pressure_cpu_waiting_seconds_total": growing(0.05)},
    {"cpu_steal_seconds_total": growing(0.01)},
    {"other_cpu_seconds_total": growing(5, since=16, until=20)},
    {"other_cpu_seconds_total": growing(0.05)},
    {"cpu_temperature_celsius": [90.0, 60.0, *[84.0] * (COUNT - 2)]},
    {'cooling_state{device="cooling_device0",kind="cpufreq"}': during(3, since=0, until=1)},
]


@pytest.mark.parametrize("changes", NEGATIVE)
def test_what_is_harmless_or_outside_the_phase_is_not_blamed(changes: dict[str, Values]) -> None:
    """Small, short, constant, before or after: no finding."""
    assert verdict_of(changes).reasons == []


def test_idle_clocks_are_not_a_drop() -> None:
    """A governor lowers the clock of a CPU that has nothing to do; then nothing can be said."""
    idle = {f'cpu_utilization_ratio{{cpu="{core}"}}': [0.1] * COUNT for core in "01"}
    validity = verdict_of(idle | dict.fromkeys(FREQUENCIES, during(0.6 * GHZ, calm=1.5 * GHZ)))
    assert validity.reasons == []
    assert "under load" in validity.not_checkable[CheckCode.CLOCK_DROP]


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (Probe(before_ms=50, after_ms=54.9), Verdict.OK),
        (Probe(before_ms=50, after_ms=40), Verdict.OK),
        (Probe(before_ms=50, after_ms=56), Verdict.UNRELIABLE),
    ],
)
def test_the_probe_needs_no_sensor(probe: Probe, expected: Verdict) -> None:
    """A tenth slower afterwards is too much; faster is nobody's fault."""
    assert judge(None, probe).verdict is expected


@pytest.mark.parametrize("probe", [None, Probe(before_ms=50)])
def test_half_a_probe_is_no_probe(probe: Probe | None) -> None:
    """It is not checkable and says so."""
    assert CheckCode.PROBE_SLOW in judge(None, probe).not_checkable


@pytest.mark.parametrize(
    ("last_third_ms", "expected"),
    [(10.2, None), (10.7, Verdict.SUSPECT), (9.3, Verdict.SUSPECT), (11.5, Verdict.UNRELIABLE)],
)
def test_drift_compares_the_ends(last_third_ms: float, expected: Verdict | None) -> None:
    """More than 5 % is suspect, more than 10 % unreliable, either way."""
    samples = [10.0] * 200 + [last_third_ms] * 100
    found = [finding.verdict for finding in verdict_of(samples_ms=samples).reasons if finding.code is CheckCode.DRIFT]
    assert found == ([expected] if expected else [])


def test_scatter_is_noise_but_one_pause_is_not() -> None:
    """A tenth of the mean is the limit; a single pause of the system among a thousand samples does not count."""
    chance = random.Random(1)
    wild = [chance.gauss(10, 2) for _ in range(1000)]
    assert [finding.code for finding in verdict_of(samples_ms=wild).reasons] == [CheckCode.NOISY]
    calm = [chance.gauss(10, 0.2) for _ in range(1000)]
    assert verdict_of(samples_ms=[*calm[:500], 400.0, *calm[500:]]).reasons == []


def test_the_last_three_windows_are_compared() -> None:
    """As perf_analyzer does: earlier ones may differ."""
    assert verdict_of(last=windows(50, 100, 101, 99)).reasons == []
    (finding,) = verdict_of(last=windows(100, 100, 80)).reasons
    assert (finding.code, finding.verdict) == (CheckCode.NOISY, Verdict.SUSPECT)


def test_what_was_left_at_the_end_is_no_window() -> None:
    """Its rate is that of an inference or two; one that is longer than half a window counts."""
    for length, expected in ((0.1, []), (0.7, [CheckCode.NOISY])):
        last = Window(start_s=3, end_s=3 + length, iterations=1, fps=80, p50_ms=12.5, max_ms=13)
        found = verdict_of(last=[*windows(100, 100, 100), last]).reasons
        assert [finding.code for finding in found] == expected


def test_holes_in_the_recording_are_suspect() -> None:
    """One beat in ten missed, or a sample a third of the interval late; but not after the phase."""
    times = [at + 0.001 for at in range(COUNT)]
    hole = verdict_of(telemetry=recording(t_s=[t for t in times if round(t) != 9]))
    assert [finding.code for finding in hole.reasons] == [CheckCode.SAMPLER_GAP]
    late = verdict_of(telemetry=recording(t_s=[t + (0.3 if round(t) == 9 else 0) for t in times]))
    assert [finding.code for finding in late.reasons] == [CheckCode.SAMPLER_GAP]
    after = verdict_of(telemetry=recording(t_s=[t for t in times if round(t) != 18]))
    assert after.reasons == []


def test_the_worst_comes_first_and_decides() -> None:
    """Several findings: sorted, and the verdict is the worst of them."""
    changes = {"other_cpu_seconds_total": growing(0.3), 'throttle_active{reason="throttled"}': during(1)}
    validity = verdict_of(changes)
    assert [finding.verdict for finding in validity.reasons] == [Verdict.UNRELIABLE, Verdict.SUSPECT]
    assert validity.verdict is Verdict.UNRELIABLE


def test_without_anything_nothing_is_claimed() -> None:
    """No telemetry, no probe, no samples: ok, but every check is listed as not made, with a reason."""
    validity = judge(None, None)
    assert (validity.verdict, validity.checked) == (Verdict.OK, [])
    assert set(validity.not_checkable) == set(CheckCode)
    assert all(validity.not_checkable.values())


SENSOR_CHECKS = {
    *(CheckCode.THROTTLE_FLAG, CheckCode.UNDER_VOLTAGE, CheckCode.COOLING_ACTIVE, CheckCode.CLOCK_DROP),
    *(CheckCode.CPU_QUOTA, CheckCode.CONTENTION, CheckCode.SAMPLER_GAP),
}


@pytest.mark.parametrize("end_s", [START, START + 0.5, START + 1])
def test_a_phase_shorter_than_two_samples_is_not_judged(end_s: float) -> None:
    """Rather no answer than a guess, also where something was wrong."""
    telemetry = recording({'throttle_active{reason="throttled"}': [1.0] * COUNT})
    telemetry.phases[2] = Phase(name="timed", start_s=START, end_s=end_s)
    validity = verdict_of(telemetry=telemetry)
    assert validity.not_checkable.keys() >= SENSOR_CHECKS
    assert validity.reasons == []


def test_a_phase_that_never_was_is_not_judged() -> None:
    """Of a job that was cut off before it."""
    telemetry = recording()
    telemetry.phases = telemetry.phases[:2]
    assert verdict_of(telemetry=telemetry).not_checkable.keys() >= SENSOR_CHECKS


def test_a_recording_that_was_cut_off_is_judged_to_its_end() -> None:
    """The phase has no end: everything after its start counts."""
    telemetry = recording({'throttle_active{reason="throttled"}': during(1, since=19, until=COUNT)})
    telemetry.phases = [*telemetry.phases[:2], Phase(name="timed", start_s=START)]
    assert verdict_of(telemetry=telemetry).verdict is Verdict.UNRELIABLE


maybe = st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(
    st.data(),
    st.lists(st.floats(0, 30), min_size=0, max_size=6).map(sorted),
    st.floats(0, 30),
    st.none() | st.floats(0, 30),
    st.lists(st.floats(0.001, 1e4), max_size=40),
)
def test_no_recording_breaks_the_judge(
    data: st.DataObject, t_s: list[float], start_s: float, end_s: float | None, samples_ms: list[float]
) -> None:
    """Whatever the series hold, there is a verdict, and every check is in exactly one list."""
    telemetry = recording(t_s=t_s) if t_s else recording()
    telemetry.t_s = t_s
    telemetry.phases = [Phase(name="timed", start_s=start_s, end_s=end_s)]
    telemetry.series = {key: data.draw(st.lists(maybe, min_size=len(t_s), max_size=len(t_s))) for key in telemetry.info}
    validity = judge(telemetry, Probe(before_ms=1, after_ms=1), samples_ms=samples_ms)
    assert sorted([*validity.checked, *validity.not_checkable]) == sorted(CheckCode)
    assert Validity.model_validate_json(validity.model_dump_json()) == validity


def of_tree(root: Path, happen: Callable[[], object]) -> Validity:
    """Record a tree's sensors while something happens to it."""
    recorder = Recorder(Sensors(root), 0.02)
    recorder.start()
    recorder.mark("timed")
    time.sleep(0.1)
    happen()
    time.sleep(0.1)
    return judge(recorder.stop(), None)


def test_a_throttle_flag_of_a_pi_makes_it_unreliable(tmp_path: Path) -> None:
    """From the file of the firmware to the verdict; and without the flag it is not."""
    root = trees.raspberry_pi_4(tmp_path)
    calm = of_tree(root, lambda: None)
    assert CheckCode.THROTTLE_FLAG in calm.checked
    assert not [finding for finding in calm.reasons if finding.code is CheckCode.THROTTLE_FLAG]
    validity = of_tree(root, lambda: trees.plant(root, {trees.PI4_THROTTLED: "50004\n"}))
    assert validity.verdict is Verdict.UNRELIABLE
    assert CheckCode.THROTTLE_FLAG in [finding.code for finding in validity.reasons]


def test_a_bare_machine_says_what_it_is_blind_for(tmp_path: Path) -> None:
    """The reasons are those of the sensors."""
    validity = of_tree(trees.bare_vm(tmp_path), lambda: None)
    assert "get_throttled" in validity.not_checkable[CheckCode.THROTTLE_FLAG]
    assert "cpufreq" in validity.not_checkable[CheckCode.CLOCK_DROP]


def test_a_busy_process_beside_a_job_is_contention() -> None:
    """With real processes: the same job is suspect while somebody else works."""
    burn = [sys.executable, "-c", "while True: pass"]
    job = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    others = [subprocess.Popen(burn) for _ in range(2)]
    try:
        recorder = Recorder(Sensors(process_group=job.pid), 0.1)
        recorder.start()
        recorder.mark("timed")
        time.sleep(2.5)
        validity = judge(recorder.stop(), None)
    finally:
        for process in (job, *others):
            process.kill()
            process.wait()
    (finding,) = [finding for finding in validity.reasons if finding.code is CheckCode.CONTENTION]
    assert "other processes used" in finding.detail


def test_the_probe_takes_the_best_of_its_repeats() -> None:
    """Positive, and not the sum of the repeats."""
    began = time.perf_counter()
    best_ms = fixed_work_ms(repeats=3)
    took_ms = (time.perf_counter() - began) * 1e3
    assert 0 < best_ms <= took_ms / 3


def test_every_code_is_documented() -> None:
    """docs/validity.md has a heading for each."""
    document = (Path(__file__).parents[3] / "docs" / "validity.md").read_text()
    assert all(f"## `{code}`" in document for code in CheckCode)

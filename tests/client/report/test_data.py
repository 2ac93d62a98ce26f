"""What the page is told: statements, warnings, names, telemetry in the units of people."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from client.analysis.runs import Run
from client.report.channels import component, values
from client.report.data import report_data
from client.report.energy import mean_power
from client.report.model import ReportData
from client.report.sources import Sources
from client.report.throttling import throttled, watched
from contract.jobs import JobState
from contract.telemetry import MetricKind, Phase, SamplerQuality, SeriesInfo, Telemetry
from contract.validity import Verdict
from tests.client.made_runs import made_entry, made_run, samples_around
from tests.client.report.made_telemetry import made_recorded_entry, made_telemetry


def data_of(*runs: Run) -> ReportData:
    """What the page of these runs is told."""
    names = [run.name for run in runs]
    return report_data(Sources(runs=list(zip(names, runs, strict=True))))


def recording(unit: str, kind: MetricKind, series: list[float | None], metric: str = "made_total") -> Telemetry:
    """One series, a sample a second, all of it timed."""
    return Telemetry(
        interval_s=1,
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        t_s=[float(n) for n in range(len(series))],
        series={metric: series},
        info={metric: SeriesInfo(metric=metric, unit=unit, kind=kind, source="x")},
        unavailable={},
        phases=[Phase(name="timed", start_s=0, end_s=len(series))],
        quality=SamplerQuality(samples=len(series), missed=0, late_s_max=0, self_cpu_ratio=0),
    )


def test_the_headline_names_the_fastest_and_by_how_much() -> None:
    """With the factor to the next and to the slowest; an unreliable one takes no part."""
    data = data_of(
        made_run(
            made_entry(samples_around(2.0, 300, 1), host="a"),
            made_entry(samples_around(1.0, 300, 2), host="b"),
            made_entry(samples_around(8.0, 300, 3), host="c"),
            made_entry(samples_around(0.1, 300, 4), Verdict.UNRELIABLE, host="d"),
        )
    )
    assert data.headline.startswith("b is the fastest: ")
    assert "2 times faster than a" in data.headline
    assert "times faster than c" in data.headline_rest
    assert not any("d" in line.split() for line in data.statements)
    assert [notice.title for notice in data.notices] == ["d: do not quote this."]
    assert data.notices[0].text == "Unreliable, and not ranked: it drifted."
    assert [each.times_slower is None for each in data.configurations] == [False, True, False, True]


def test_no_statement_where_the_samples_cannot_tell() -> None:
    """Two measurements of the same thing are not ranked."""
    data = data_of(
        made_run(made_entry(samples_around(1, 60, 1), host="a"), made_entry(samples_around(1, 60, 2), host="b"))
    )
    assert data.headline.startswith("No difference to be seen between ")
    assert data.statements == []


def test_suspect_measurements_are_called_so() -> None:
    """The sentence says that it rests on one."""
    slow, fast = (
        made_entry(samples_around(2, 99), host="a"),
        made_entry(samples_around(1, 99), Verdict.SUSPECT, host="b"),
    )
    assert "b is suspect; the table says why." in data_of(made_run(slow, fast)).headline_rest


def test_nothing_reliable_gives_no_winner() -> None:
    """Not even a lone one."""
    data = data_of(made_run(made_entry(samples_around(1, 99), Verdict.UNRELIABLE)))
    assert data.headline == "Nothing here can be quoted."
    failed = data_of(made_run(made_entry(None, state=JobState.FAILED)))
    assert failed.headline_rest == " No measurement has a result."
    assert failed.configurations[0].verdict is None
    assert failed.configurations[0].problem == "failed"


def test_many_unreliable_ones_are_named_once() -> None:
    """Their reasons stand in the table."""
    entries = [made_entry(samples_around(1, 50, n), Verdict.UNRELIABLE, host=f"edge{n}") for n in range(4)]
    (notice,) = data_of(made_run(*entries)).notices
    assert notice.title == "Do not quote: edge0; edge1; edge2; edge3."


def test_a_longer_loading_is_weighed_against_the_gain() -> None:
    """After how many inferences the faster one is ahead."""
    fast = made_entry(samples_around(1.0, 300, 1), host="gpu", fields={"load_ms": 1010.0})
    data = data_of(made_run(fast, made_entry(samples_around(11.0, 300, 2), host="cpu", fields={"load_ms": 10.0})))
    assert "It takes 1.01 s to load, which pays back after 100 inferences." in data.headline_rest


@pytest.mark.parametrize(
    ("fields", "spec", "name"),
    [
        ({"model_digest": "sha256:" + "2" * 64}, {}, "model digest"),
        ({}, {"threads": 3}, "threads"),
        ({}, {"input": {"kind": "random", "seed": 9}}, "input"),
    ],
)
def test_different_work_is_warned_of(fields: dict[str, Any], spec: dict[str, Any], name: str) -> None:
    """Two runs that did not measure the same thing."""
    other = made_run(made_entry(samples_around(1.0, 50), fields=fields, **spec), name="other")
    data = data_of(made_run(made_entry(samples_around(2.0, 50))), other)
    (warning,) = data.notices
    assert warning.level == "warning"
    assert warning.text.startswith(f"{name}: ")
    assert [condition.name for condition in data.conditions if condition.differs and condition.name == name] == [name]


def test_an_axis_of_one_run_is_a_note_only() -> None:
    """Whoever asks for --threads 1,2 knows that they differ."""
    data = data_of(made_run(made_entry(samples_around(2, 50), threads=1), made_entry(samples_around(1, 50), threads=2)))
    assert [notice.level for notice in data.notices] == ["note"]
    assert [each.title for each in data.configurations] == ["1 thread", "2 threads"]
    assert [each.name for each in data.configurations] == ["1 thread", "2 threads"]


def test_names_say_what_differs() -> None:
    """Run and host first, where they differ; what all share stands behind, or nowhere."""
    first = made_run(made_entry([1.0] * 9, host="a"), made_entry([1.0] * 9, host="b", batch=4), name="before")
    second = made_run(made_entry([1.0] * 9, host="a"), name="after")
    data = data_of(first, second)
    assert [each.title for each in data.configurations] == ["before · a", "before · b", "after · a"]
    assert [each.subtitle for each in data.configurations] == [
        *("batch 1, litert, CPU, 1 thread", "batch 4, litert, CPU, 1 thread", "batch 1, litert, CPU, 1 thread")
    ]
    twice = data_of(made_run(made_entry([1.0] * 9)), made_run(made_entry([1.0] * 9)))
    assert [each.name for each in twice.configurations] == ["edge1", "edge1 (2)"]


def test_counters_are_rates_over_the_true_time() -> None:
    """Bytes become MiB/s; a restart and a missing value are gaps, not spikes."""
    telemetry = recording("bytes", MetricKind.COUNTER, [0.0, 2 * 1024**2, None, 5 * 1024**2, 1.0, 1024**2 + 1])
    assert values(telemetry, "made_total") == [None, 2.0, None, None, None, 1.0]
    assert component("made_total", telemetry.info["made_total"]).unit == "MiB/s"


def test_shares_go_from_0_to_100() -> None:
    """Utilization is drawn on the whole scale, temperatures are not forced to zero."""
    ratio = SeriesInfo(metric="cpu_utilization_ratio", unit="ratio", source="x")
    row = component("cpu_utilization_ratio", ratio)
    assert (row.name, row.unit, row.most, row.zero_based, row.primary) == (
        "CPU utilization",
        "%",
        100,
        True,
        True,
    )
    heat = component(
        "cpu_temperature_celsius", ratio.model_copy(update={"metric": "cpu_temperature_celsius", "unit": "celsius"})
    )
    assert (heat.unit, heat.most, heat.zero_based) == ("°C", None, False)


def test_energy_is_measured_power_over_the_timed_phase() -> None:
    """Trapezoids over samples; a counter counts too; without a sensor there is none."""
    level = recording("watts", MetricKind.GAUGE, [5.0, 5.0, 7.0], "power_total_watts")
    assert mean_power(level) == (5.5, "power of the whole device")
    counted = recording("joules", MetricKind.COUNTER, [100.0, 110.0, 130.0], "energy_joules_total")
    assert mean_power(counted) == (15.0, "energy counter of the CPU package")
    assert mean_power(recording("watts", MetricKind.GAUGE, [None, None, None], "power_total_watts")) is None
    entry = made_recorded_entry(10.0, made_telemetry(60))
    (configuration,) = data_of(made_run(entry)).configurations
    power = mean_power(entry.telemetry) if entry.telemetry else None
    assert power is not None
    assert configuration.figures.energy_mj == pytest.approx(1000 * power[0] * 0.010, rel=0.01)


def test_throttling_is_a_stretch_with_its_cause() -> None:
    """A flag counts until the next sample, a counter from the sample before; a GPU's power cap is none."""
    telemetry = made_telemetry(60, throttled_from=30)
    (span,) = throttled(telemetry)
    assert (span.name, span.start_s, span.end_s) == ("firmware: throttled", 30, 61)
    grown = recording("1", MetricKind.COUNTER, [3.0, 3.0, 5.0, 5.0], "cgroup_cpu_throttled_periods_total")
    assert [(span.start_s, span.end_s) for span in throttled(grown)] == [(1, 2)]
    rising = recording("1", MetricKind.GAUGE, [1.0, 1.0, 2.0, 1.0], "cooling_state")
    assert [(span.start_s, span.end_s) for span in throttled(rising)] == [(2, 3)]
    cap = recording("1", MetricKind.GAUGE, [1.0, 1.0], "gpu_throttle_active")
    cap.info["gpu_throttle_active"] = cap.info["gpu_throttle_active"].model_copy(
        update={"labels": {"reason": "power_cap"}}
    )
    assert (throttled(cap), watched(cap)) == ([], [])


def test_what_was_not_measured_says_why() -> None:
    """A row that people look for stays, with the agent's reason."""
    data = data_of(made_run(made_recorded_entry(10.0, made_telemetry(60))))
    (line,) = data.recordings
    assert line.unavailable["gpu_temperature_celsius"] == "no GPU sensor on this board"
    assert "gpu_temperature_celsius" in [each.key for each in data.components]
    assert line.channels["cpu_temperature_celsius"].limit == 80.0


def test_statistics_leave_out_the_idle_start() -> None:
    """Utilization's median is that of the work, though the recording begins before."""
    data = data_of(made_run(made_recorded_entry(10.0, made_telemetry(100))))
    statistics = data.recordings[0].channels["cpu_utilization_ratio"].statistics
    assert statistics is not None
    assert statistics.min >= 95


def test_histogram_holds_every_sample(tmp_path: Path) -> None:
    """The longest ones are counted beside the scale, not squeezed into it."""
    data = data_of(made_run(made_entry([*samples_around(1.0, 990), *([50.0] * 9)])))
    histogram = data.configurations[0].histogram
    assert histogram is not None
    assert sum(histogram.counts) + histogram.beyond == histogram.samples == 999
    assert histogram.beyond == 9
    assert histogram.edges_ms[-1] < 1.1

"""Samples as people read them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.analysis.readings import human, human_rate, name_of, readings, unavailable
from client.cli.telemetry import Device
from client.sdk.hosts import Host
from contract.telemetry import MetricKind, SeriesInfo, TelemetrySample

START = datetime(2026, 1, 2, tzinfo=UTC)
INFO = {
    "cpu_utilization_ratio": SeriesInfo(metric="cpu_utilization_ratio", unit="ratio", source="/proc/stat"),
    'cpu_utilization_ratio{cpu="0"}': SeriesInfo(
        metric="cpu_utilization_ratio", labels={"cpu": "0"}, unit="ratio", source="/proc/stat"
    ),
    "disk_read_bytes_total": SeriesInfo(
        metric="disk_read_bytes_total", unit="bytes", kind=MetricKind.COUNTER, source="/proc/diskstats"
    ),
    "odd_things": SeriesInfo(metric="odd_things", unit="1", source="x"),
}


def sample(t_s: float, **values: float | None) -> TelemetrySample:
    """A sample; a core's utilization is always there."""
    return TelemetrySample(
        at=START + timedelta(seconds=t_s),
        t_s=t_s,
        interval_s=1,
        values={'cpu_utilization_ratio{cpu="0"}': 0.5, **values},
        info=INFO,
        unavailable={"gpu_temperature_celsius": "no GPU", "gpu_utilization_ratio": "no GPU"},
    )


def test_groups_labels_and_rates() -> None:
    """Counters are rates over the true time; what is absent is left out; unknown groups come last."""
    before = sample(10.0, cpu_utilization_ratio=0.1, disk_read_bytes_total=0)
    now = sample(12.0, cpu_utilization_ratio=0.25, disk_read_bytes_total=4 * 2**20, odd_things=None)
    found = [(reading.group, reading.name, dict(reading.values)) for reading in readings(now, before)]
    assert found == [("CPU", "utilization", {"": "25 %", "0": "50 %"}), ("disk", "read", {"": "2.0 MiB/s"})]


@pytest.mark.parametrize("before", [None, sample(12.0, disk_read_bytes_total=5), sample(1.0, disk_read_bytes_total=50)])
def test_no_rate_is_made_up(before: TelemetrySample | None) -> None:
    """Not from one sample, not without time between, not after a counter began again."""
    assert [reading.group for reading in readings(sample(12.0, disk_read_bytes_total=9), before)] == ["CPU"]


def test_reasons_are_listed_once() -> None:
    """Metrics that lack for the same reason stand together."""
    assert unavailable(sample(1.0)) == {"no GPU": ["gpu_temperature_celsius", "gpu_utilization_ratio"]}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (45.25, "celsius", "45.2 °C"),
        (0.994, "ratio", "99 %"),
        (1.8e9, "hertz", "1.8 GHz"),
        (512, "bytes", "512 B"),
        (3 * 2**30, "bytes", "3.0 GiB"),
        (4.567, "watts", "4.57 W"),
        (0.5, "1", "0.50"),
    ],
)
def test_units_that_people_read(value: float, unit: str, text: str) -> None:
    """Prometheus' base units become those of the board's data sheet."""
    assert human(value, unit) == text


def test_rates_that_people_read() -> None:
    """Seconds a second are a share, joules a second are watts."""
    assert (human_rate(0.5, "seconds"), human_rate(2.5, "joules")) == ("50 %", "2.50 W")


@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e15), st.sampled_from(["bytes", "hertz"])
)
def test_scaled_figures_are_short(value: float, unit: str) -> None:
    """Whatever the size, at most a dozen characters."""
    assert len(human(value, unit)) <= 13


def test_names_keep_a_total_that_is_no_counter() -> None:
    """`memory_total_bytes` is the total, `disk_read_bytes_total` is what was read."""
    assert (name_of("memory_total_bytes"), name_of("disk_read_bytes_total")) == ("total", "read")


def test_a_silent_device_is_stale() -> None:
    """After three beats without a sample, and not before."""
    device = Device(Host("edge1", "http://127.0.0.1:1"))
    assert device.silent_s(1.0) is None
    device.take(sample(1.0))
    assert device.silent_s(1.0) is None
    device.heard_s -= 4
    assert (device.silent_s(1.0) or 0) > 3.9

"""What is read on machines of all kinds, and what is said where there is nothing to read."""

import math
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from contract.telemetry import MetricKind, SeriesInfo
from server.telemetry.sensors import Sensors
from server.telemetry.series import key_of
from server.telemetry.temperature import PI_LIMIT_CELSIUS
from tests.agents import wait_for
from tests.server.telemetry import trees

UNITS = {"celsius", "ratio", "hertz", "bytes", "seconds", "watts", "joules", "amperes", "volts", "1"}
EVERYWHERE = {
    *("cpu_utilization_ratio", "cpu_busy_seconds_total", "cpu_steal_seconds_total", "cpu_frequency_hertz"),
    *("cpu_load_average", "cpu_temperature_celsius", "cpu_temperature_trip_celsius", "temperature_celsius"),
    *("memory_used_bytes", "memory_available_bytes", "memory_total_bytes", "memory_swap_used_bytes"),
    *("disk_read_bytes_total", "disk_written_bytes_total", "disk_io_time_seconds_total"),
    *("network_received_bytes_total", "network_transmitted_bytes_total", "pressure_cpu_waiting_seconds_total"),
    *("gpu_temperature_celsius", "gpu_utilization_ratio", "gpu_frequency_hertz", "gpu_memory_used_bytes"),
    *("gpu_memory_total_bytes", "gpu_throttle_active"),
    *("power_watts", "power_total_watts", "energy_joules_total", "throttle_active", "throttle_since_boot"),
    *("under_voltage_alarm", "cooling_state", "cpu_throttle_events_total", "cgroup_cpu_seconds_total"),
    *("cgroup_cpu_throttled_periods_total", "cgroup_cpu_throttled_seconds_total", "cgroup_memory_bytes"),
    *("job_cpu_seconds_total", "job_memory_bytes", "other_cpu_seconds_total"),
}


def read(root: Path) -> dict[str, float | None]:
    """One reading by key."""
    with Sensors(root) as sensors:
        return dict(zip(sensors.info, sensors.read(), strict=True))


EXPECTED: dict[str, dict[str, float | None]] = {
    "raspberry_pi_4": {
        "cpu_temperature_celsius": 48.312,
        "cpu_temperature_trip_celsius": PI_LIMIT_CELSIUS,
        'temperature_celsius{sensor="cpu_thermal",zone="hwmon0/temp1"}': 48.312,
        'cpu_frequency_hertz{cpu="3"}': 1.5e9,
        'throttle_active{reason="under_voltage"}': 0,
        'throttle_since_boot{reason="under_voltage"}': 1,
        'throttle_since_boot{reason="throttled"}': 0,
        "under_voltage_alarm": 0,
        "memory_used_bytes": 3_884_312 / 2 * 1024,
        "memory_swap_used_bytes": 1024 * 1024,
        "disk_read_bytes_total": 200 * 512,
        "disk_written_bytes_total": 400 * 512,
        "disk_io_time_seconds_total": 1.5,
        "network_received_bytes_total": 1020,
        "network_transmitted_bytes_total": 304,
        'cpu_load_average{window="1m"}': 0.5,
        "cgroup_cpu_seconds_total": 2.5,
        "cgroup_cpu_throttled_periods_total": 3,
        "cgroup_cpu_throttled_seconds_total": 0.04,
        "cgroup_memory_bytes": 123456,
        "gpu_temperature_celsius": None,
        "power_watts": None,
        "pressure_cpu_waiting_seconds_total": None,
        "cooling_state": None,
        "job_cpu_seconds_total": None,
    },
    "raspberry_pi_5": {
        "cpu_temperature_celsius": 55.1,
        'throttle_active{reason="soft_temperature_limit"}': 0,
        "pressure_cpu_waiting_seconds_total": 2.5,
        "cooling_state": None,
        "disk_read_bytes_total": 200 * 512,
    },
    "jetson_nano": {
        "cpu_temperature_celsius": 36.5,
        "cpu_temperature_trip_celsius": 86,
        "gpu_temperature_celsius": 34,
        "gpu_utilization_ratio": 0.123,
        "gpu_frequency_hertz": 921.6e6,
        "gpu_memory_used_bytes": None,
        'power_watts{rail="POM_5V_GPU"}': 0.8,
        "power_total_watts": 4.5,
        'cooling_state{device="cooling_device0",kind="gpu-balanced"}': 0,
        "cgroup_cpu_seconds_total": 7.5,
        "cgroup_cpu_throttled_periods_total": 2,
        "cgroup_cpu_throttled_seconds_total": 0.5,
        "cgroup_memory_bytes": 654321,
        "throttle_active": None,
    },
    "jetson_orin": {
        "cpu_temperature_celsius": 51,
        "gpu_temperature_celsius": 50.5,
        'temperature_celsius{sensor="cv0-thermal",zone="thermal_zone2"}': None,
        "gpu_utilization_ratio": 0.5,
        'power_watts{rail="VDD_SOC"}': 1.5,
        "power_total_watts": 6,
        'cooling_state{device="cooling_device1",kind="cpu-throttle-alert"}': 0,
    },
    "x86_with_amdgpu": {
        "cpu_temperature_celsius": 61,
        "cpu_temperature_trip_celsius": 100,
        "gpu_temperature_celsius": 44,
        "gpu_utilization_ratio": 0.37,
        "gpu_frequency_hertz": 1.8e9,
        "gpu_memory_used_bytes": 1 << 30,
        "gpu_memory_total_bytes": 8573157376,
        'power_watts{rail="amdgpu PPT",chip="hwmon2/power1"}': 31,
        "power_total_watts": None,
        'energy_joules_total{domain="package-0",zone="intel-rapl:0"}': 262,
        'cooling_state{device="cooling_device0",kind="intel_powerclamp"}': 0,
        'cpu_throttle_events_total{package="0"}': 5,
    },
    "bare_vm": {
        "cpu_busy_seconds_total": 20,
        "disk_written_bytes_total": 400 * 512,
        "cpu_temperature_celsius": None,
        "cpu_frequency_hertz": None,
        "cgroup_cpu_seconds_total": None,
    },
}


@pytest.mark.parametrize("name", trees.TREES)
def test_each_machine_says_what_it_has(tmp_path: Path, name: str) -> None:
    """Values come in base units, from the right file, under the right labels."""
    values = read(trees.TREES[name](tmp_path))
    for key, expected in EXPECTED[name].items():
        assert values[key] == (None if expected is None else pytest.approx(expected)), key


@pytest.mark.parametrize("name", trees.TREES)
def test_every_metric_is_there_or_says_why_not(tmp_path: Path, name: str) -> None:
    """Keys, units, kinds and reasons hold on every machine: no key is dropped, nothing absent is 0."""
    with Sensors(trees.TREES[name](tmp_path)) as sensors:
        values = dict(zip(sensors.info, sensors.read(), strict=True))
        metrics = {info.metric for info in sensors.info.values()}
        assert metrics >= EVERYWHERE
        for key, info in sensors.info.items():
            assert key == key_of(info)
            assert info.unit in UNITS
            assert (info.kind is MetricKind.COUNTER) == info.metric.endswith("_total")
            assert info.source or info.metric in sensors.unavailable, key
            if info.metric in sensors.unavailable:
                assert values[key] is None
                assert len(sensors.unavailable[info.metric]) > 10
        assert sensors.unavailable.keys() <= metrics


def test_a_jetsons_fake_zone_is_left_out(tmp_path: Path) -> None:
    """PMIC-Die says 100 degrees for ever."""
    assert not any("PMIC" in key for key in read(trees.jetson_nano(tmp_path)))


def test_the_source_of_the_chosen_temperature_is_named(tmp_path: Path) -> None:
    """An odd chip that comes first is not taken for the CPU."""
    with Sensors(trees.x86_with_amdgpu(tmp_path)) as sensors:
        source = sensors.info["cpu_temperature_celsius"].source
        assert source == "/sys/class/hwmon/hwmon1/temp1_input (coretemp Package id 0)"
        assert sensors.info["gpu_temperature_celsius"].source.startswith("/sys/class/drm/card0")


def test_utilization_is_of_the_time_between_two_readings(tmp_path: Path) -> None:
    """A quarter of the ticks on every core were busy."""
    root = trees.bare_vm(tmp_path)
    with Sensors(root) as sensors:
        trees.plant(root, {"proc/stat": trees.stat(2, 1000 + 25, trees.HOURS_TICKS + 75, steal_ticks=0)})
        values = dict(zip(sensors.info, sensors.read(), strict=True))
        assert values["cpu_utilization_ratio"] == pytest.approx(0.25)
        assert values['cpu_utilization_ratio{cpu="1"}'] == pytest.approx(0.25)
        trees.plant(root, {"proc/stat": trees.stat(2, 1050, trees.HOURS_TICKS + 125, steal_ticks=25)})
        values = dict(zip(sensors.info, sensors.read(), strict=True))
        assert values["cpu_utilization_ratio"] == pytest.approx(0.25)
        assert values["cpu_steal_seconds_total"] == 0.5
        same = dict(zip(sensors.info, sensors.read(), strict=True))
        assert same["cpu_utilization_ratio"] is None  # no tick has passed: there is no share to give


def test_a_core_that_is_switched_off_is_none(tmp_path: Path) -> None:
    """The others go on."""
    root = trees.raspberry_pi_4(tmp_path)
    with Sensors(root) as sensors:
        trees.plant(root, {"proc/stat": trees.stat(3, 2000, 2 * trees.HOURS_TICKS)})
        values = dict(zip(sensors.info, sensors.read(), strict=True))
    assert values['cpu_utilization_ratio{cpu="3"}'] is None
    assert values['cpu_utilization_ratio{cpu="2"}'] is not None


def test_files_that_break_during_the_run_give_none_and_come_back(tmp_path: Path) -> None:
    """Every file in turn, empty or full of nonsense: no exception, and the other series are read."""
    root = trees.raspberry_pi_4(tmp_path)
    files = [path for path in root.rglob("*") if path.is_file()]
    with Sensors(root) as sensors:
        whole = sensors.read()
        for path in files:
            content = path.read_bytes()
            for nonsense in (b"", b"\xff\xfe nonsense\n", b"cpu\n", b"-\n:\n"):
                path.write_bytes(nonsense)
                assert len(sensors.read()) == len(whole)
            path.write_bytes(content)
        again = dict(zip(sensors.info, sensors.read(), strict=True))
        before = dict(zip(sensors.info, whole, strict=True))
    assert {k for k, v in before.items() if v is None} >= {k for k, v in again.items() if v is None} - {
        key for key in again if key.startswith("cpu_utilization_ratio")
    }


def test_an_energy_counter_that_begins_anew_goes_on(tmp_path: Path) -> None:
    """RAPL wraps at its range; ours does not go back."""
    root = trees.x86_with_amdgpu(tmp_path)
    key = 'energy_joules_total{domain="package-0",zone="intel-rapl:0"}'
    with Sensors(root) as sensors:
        at = list(sensors.info).index(key)
        assert sensors.read()[at] == pytest.approx(262)
        trees.plant(root, {"sys/class/powercap/intel-rapl:0/energy_uj": "1000000\n"})
        assert sensors.read()[at] == pytest.approx(263.143)


def test_without_a_whole_rail_the_rails_add_up(tmp_path: Path) -> None:
    """An AGX has no rail for all; and one that fails makes the sum unknown, not smaller."""
    root = trees.jetson_orin(tmp_path)
    trees.plant(root, {"sys/class/hwmon/hwmon3/in1_label": "VDD_GPU_SOC\n"})
    with Sensors(root) as sensors:
        at = list(sensors.info).index("power_total_watts")
        assert sensors.read()[at] == pytest.approx(6 + 2 + 1.5)
        trees.plant(root, {"sys/class/hwmon/hwmon3/curr2_input": "busy\n"})
        assert sensors.read()[at] is None


def test_keys_are_escaped_as_prometheus_does() -> None:
    """Quotes, backslashes and line ends in labels."""
    info = SeriesInfo(metric="m", unit="1", source="", labels={"a": 'x"y\\z\n'})
    assert key_of(info) == 'm{a="x\\"y\\\\z\\n"}'


def test_an_empty_root_is_no_failure(tmp_path: Path) -> None:
    """Where /proc and /sys are hidden every metric says so."""
    with Sensors(tmp_path) as sensors:
        assert set(sensors.read()) == {None}
        assert set(sensors.unavailable) == {info.metric for info in sensors.info.values()}


def test_this_machine_is_read(tmp_path: Path) -> None:
    """What every Linux has is there, plausible, and without a leaked file at the end."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Sensors() as sensors:
        time.sleep(0.1)
        values = dict(zip(sensors.info, sensors.read(), strict=True))
        share, used = values["cpu_utilization_ratio"], values["memory_used_bytes"]
        assert share is not None
        assert 0 <= share <= 1
        assert used is not None
        assert used > 1 << 20
        assert all(value is None or math.isfinite(value) for value in values.values())
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


class Nvml(ModuleType):
    """What of NVIDIA's library is called, as a hot board answers that does not count its energy."""

    NVML_TEMPERATURE_GPU, NVML_CLOCK_SM = 0, 1

    class NVMLError(Exception):
        """Its one kind of error."""

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.nvmlInit = lambda: None
        self.nvmlDeviceGetCount = lambda: 1
        self.nvmlDeviceGetHandleByIndex = lambda index: index
        self.nvmlDeviceGetTemperature = lambda handle, sensor: 71
        self.nvmlDeviceGetUtilizationRates = lambda handle: SimpleNamespace(gpu=93)
        self.nvmlDeviceGetClockInfo = lambda handle, kind: 1410
        self.nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(used=1 << 30, total=8 << 30)
        self.nvmlDeviceGetPowerUsage = lambda handle: 250_500
        self.nvmlDeviceGetCurrentClocksThrottleReasons = lambda handle: 0x44

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        """Not on this board."""
        raise self.NVMLError("not supported")


def test_nvidias_library_is_asked_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its units become ours, what a board does not tell is left out, and what it does is not called absent."""
    library = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    with Sensors() as sensors:
        values = dict(zip(sensors.info, sensors.read(), strict=True))
        assert values["gpu_temperature_celsius"] == 71
        assert values["gpu_utilization_ratio"] == pytest.approx(0.93)
        assert values["gpu_frequency_hertz"] == 1.41e9
        assert values['power_watts{rail="gpu"}'] == pytest.approx(250.5)
        assert values['gpu_throttle_active{reason="hardware_thermal"}'] == 1
        assert values['gpu_throttle_active{reason="software_thermal"}'] == 0
        assert "power_watts" not in sensors.unavailable
        assert 'energy_joules_total{domain="gpu"}' not in sensors.info

        def lost(handle: int, sensor: int) -> int:
            raise library.NVMLError("GPU is lost")

        library.nvmlDeviceGetTemperature = lost
        values = dict(zip(sensors.info, sensors.read(), strict=True))
        assert values["gpu_temperature_celsius"] is None
        assert values["gpu_memory_used_bytes"] == 1 << 30


BURN = "import time, os\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


def test_a_jobs_processes_and_their_children_are_counted(tmp_path: Path) -> None:
    """A session that burns a core through a child is charged for it; what ended stays counted."""
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"
    job = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
    try:
        with Sensors(process_group=job.pid) as sensors:
            keys = list(sensors.info)
            cpu, memory = keys.index("job_cpu_seconds_total"), keys.index("job_memory_bytes")
            wait_for(lambda: (sensors.read()[cpu] or 0) > 0.3)
            assert (sensors.read()[memory] or 0) > 5 << 20
            os.killpg(job.pid, 9)
            job.wait()
            wait_for(lambda: sensors.read()[memory] == 0)
            last = sensors.read()
            assert (last[cpu] or 0) > 0.3
            assert last[keys.index("other_cpu_seconds_total")] is None  # its last moments are not others'
    finally:
        if job.poll() is None:
            os.killpg(job.pid, 9)
            job.wait()


def test_others_are_charged_for_what_they_do(tmp_path: Path) -> None:
    """A process outside the job's group counts as other, the job itself does not."""
    job = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    other = subprocess.Popen([sys.executable, "-c", BURN])
    try:
        with Sensors(process_group=job.pid) as sensors:
            at = list(sensors.info).index("other_cpu_seconds_total")
            began = sensors.read()[at] or 0
            wait_for(lambda: (sensors.read()[at] or 0) > began + 0.3)
    finally:
        for process in (job, other):
            process.kill()
            process.wait()


def test_a_process_that_joins_the_group_later_is_found(tmp_path: Path) -> None:
    """From a tree: a new process with the job's session, whose command's name is made to confuse."""
    root = trees.bare_vm(tmp_path)
    rest = "0 -1 4194304 1 2 3 4 {own} 100 {children} 0 20 0 1 0 99 1000000 {pages} 18446744073709551615"
    line = "{pid} (a) b) S 1 {pid} {session} " + rest
    trees.plant(root, {"proc/70/stat": line.format(pid=70, session=70, own=100, children=0, pages=10)})
    with Sensors(root, process_group=70) as sensors:
        at = list(sensors.info).index("job_cpu_seconds_total")
        assert sensors.read()[at] == 2.0
        trees.plant(root, {"proc/71/stat": line.format(pid=71, session=70, own=300, children=50, pages=10)})
        wait_for(lambda: sensors.read()[at] == 6.5)
        trees.plant(root, {"proc/71/stat": ""})
        assert sensors.read()[at] == 6.5

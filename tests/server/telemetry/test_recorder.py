"""The beat, what is counted as missed, phases, and what is left after a crash."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.telemetry import SeriesInfo, Telemetry, TelemetrySample
from server.telemetry.recorder import Recorder, load_recording
from server.telemetry.recording import HEAD_FILE, SAMPLES_FILE
from server.telemetry.sensors import Sensors
from tests.agents import wait_for
from tests.server.telemetry import trees


class Ticker:
    """A sensor that counts its readings, is absent every third time, and sleeps when told to."""

    def __init__(self) -> None:
        self.info = {
            "readings_total": SeriesInfo(metric="readings_total", unit="1", source="test"),
            'odd{a="b,c"}': SeriesInfo(metric="odd", labels={"a": "b,c"}, unit="1", source="test"),
        }
        self.unavailable = {"odd": "only sometimes there"}
        self.readings = 0
        self.sleep_s: dict[int, float] = {}
        self.fails_at = -1
        self.closed = 0

    def read(self) -> list[float | None]:
        """The number of the reading, and half of it."""
        self.readings += 1
        time.sleep(self.sleep_s.get(self.readings, 0))
        if self.readings == self.fails_at:
            raise RuntimeError("the sensor burst")
        return [float(self.readings), None if self.readings % 3 == 0 else self.readings / 2]

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def record(ticker: Ticker, seconds: float, folder: Path | None = None, interval_s: float = 0.02) -> Telemetry:
    """A short recording."""
    recorder = Recorder(ticker, interval_s, folder)
    recorder.start()
    time.sleep(seconds)
    return recorder.stop()


def test_samples_lie_on_the_beat_and_never_before_it() -> None:
    """Sample k is taken at k x interval or later, also on a busy machine; the first at once, the last when stopped."""
    ticker = Ticker()
    telemetry = record(ticker, 0.5)
    beats = [int(t / 0.02 + 1e-3) for t in telemetry.t_s[:-1]]
    assert beats[0] == 0
    assert beats == sorted(beats)
    assert all(beat >= index for index, beat in enumerate(beats))
    assert telemetry.quality.samples == len(telemetry.t_s) == ticker.readings
    assert telemetry.quality.missed <= beats[-1] + 1 - len(beats)
    assert telemetry.t_s[-1] == pytest.approx(0.5, abs=0.3)
    assert ticker.closed == 1


def test_a_sensor_that_sleeps_costs_beats_which_are_counted() -> None:
    """Beats that went by are skipped, not made up for, and the true times are kept."""
    ticker = Ticker()
    ticker.sleep_s = {3: 0.3}
    telemetry = record(ticker, 0.6, interval_s=0.05)
    gaps = [b - a for a, b in zip(telemetry.t_s, telemetry.t_s[1:], strict=False)]
    assert max(gaps) >= 0.3
    assert telemetry.quality.missed >= 4
    assert telemetry.quality.samples + telemetry.quality.missed <= 0.6 / 0.05 + 20


def test_absent_values_stay_absent() -> None:
    """None in, None out; the reasons travel along."""
    telemetry = record(Ticker(), 0.15)
    assert telemetry.series["readings_total"][:4] == [1, 2, 3, 4]
    assert telemetry.series['odd{a="b,c"}'][:4] == [0.5, 1, None, 2]
    assert telemetry.unavailable == {"odd": "only sometimes there"}


def test_a_sensor_that_bursts_leaves_a_hole(caplog: pytest.LogCaptureFixture) -> None:
    """An error nobody expected is logged once and costs one sample's values."""
    ticker = Ticker()
    ticker.fails_at = 2
    telemetry = record(ticker, 0.15)
    assert telemetry.series["readings_total"][:3] == [1, None, 3]
    assert len([entry for entry in caplog.records if entry.levelno >= logging.ERROR]) == 1


def test_phases_end_where_the_next_begins() -> None:
    """Also when their times are given, and the last one at the end of the recording."""
    recorder = Recorder(Ticker(), 0.02)
    recorder.start()
    recorder.mark("idle")
    began_ns = time.monotonic_ns()
    recorder.mark("timed", began_ns)
    running = recorder.snapshot()
    assert running.phases[-1].end_s is None
    time.sleep(0.1)
    telemetry = recorder.stop()
    idle, timed = telemetry.phases
    assert (idle.name, timed.name) == ("idle", "timed")
    assert idle.end_s == timed.start_s
    assert timed.end_s is not None
    assert timed.end_s - timed.start_s >= 0.1
    assert timed.end_s >= telemetry.t_s[-1]
    assert recorder.stop() == telemetry


def test_samples_are_handed_out_as_they_come() -> None:
    """`on_sample` and `latest` give the same, with what a stream's first event needs."""
    seen: list[TelemetrySample] = []
    recorder = Recorder(Ticker(), 0.02, on_sample=seen.append, keep=False)
    assert recorder.latest() is None
    recorder.start()
    assert recorder.latest() is not None
    wait_for(lambda: len(seen) >= 3)
    telemetry = recorder.stop()
    assert telemetry.t_s == []
    assert [sample.values["readings_total"] for sample in seen[:3]] == [1, 2, 3]
    assert TelemetrySample.model_validate_json(seen[0].model_dump_json()) == seen[0]


def test_a_recording_is_read_back_as_it_was(tmp_path: Path) -> None:
    """Memory and disk agree on everything, with this machine's sensors."""
    recorder = Recorder(Sensors(trees.raspberry_pi_4(tmp_path / "pi")), 0.02, tmp_path / "recording")
    recorder.start()
    recorder.mark("timed")
    time.sleep(0.2)
    telemetry = recorder.stop()
    loaded = load_recording(tmp_path / "recording")
    assert loaded is not None
    assert loaded.model_dump(exclude={"t_s", "series", "phases"}) == telemetry.model_dump(
        exclude={"t_s", "series", "phases"}
    )
    assert loaded.t_s == telemetry.t_s
    assert loaded.series == telemetry.series
    assert loaded.phases == telemetry.phases


RECORD_FOR_EVER = """
import sys, time
from pathlib import Path
from server.telemetry.recorder import Recorder
from server.telemetry.sensors import Sensors
recorder = Recorder(Sensors(), 0.02, Path(sys.argv[1]))
recorder.start()
recorder.mark("timed")
print("started", flush=True)
time.sleep(60)
"""


def test_what_was_sampled_survives_kill_9(tmp_path: Path) -> None:
    """Every sample that was taken is there, in the phase that was never ended."""
    process = subprocess.Popen([sys.executable, "-c", RECORD_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    wait_for(lambda: (tmp_path / SAMPLES_FILE).read_bytes().count(b"\n") > 5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    telemetry = load_recording(tmp_path)
    assert telemetry is not None
    assert len(telemetry.t_s) >= 5
    assert telemetry.phases[-1].end_s is None
    assert telemetry.quality.samples == len(telemetry.t_s)
    assert telemetry.series["memory_used_bytes"][-1] is not None


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path, cut: int) -> None:
    """The rest is read."""
    telemetry = record(Ticker(), 0.2, tmp_path)
    path = tmp_path / SAMPLES_FILE
    path.write_bytes(path.read_bytes()[:-cut])
    loaded = load_recording(tmp_path)
    assert loaded is not None
    assert loaded.t_s == telemetry.t_s[: len(loaded.t_s)]
    assert len(telemetry.t_s) - 4 <= len(loaded.t_s) < len(telemetry.t_s)


def test_nothing_and_nonsense_are_no_recording(tmp_path: Path) -> None:
    """None, not an exception."""
    assert load_recording(tmp_path) is None
    (tmp_path / HEAD_FILE).write_text("{}")
    assert load_recording(tmp_path) is None
    record(Ticker(), 0.05, tmp_path)
    (tmp_path / SAMPLES_FILE).write_bytes(b"\x00\xff\n\n,,\n")
    loaded = load_recording(tmp_path)
    assert loaded is not None
    assert loaded.t_s == []


def test_the_head_is_whole_at_any_time(tmp_path: Path) -> None:
    """It is JSON after the start and after each mark, and no part file is left."""
    recorder = Recorder(Ticker(), 0.02, tmp_path)
    recorder.start()
    assert json.loads((tmp_path / HEAD_FILE).read_text())["phases"] == []
    recorder.mark("idle")
    assert json.loads((tmp_path / HEAD_FILE).read_text())["phases"][0]["name"] == "idle"
    recorder.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == [SAMPLES_FILE, HEAD_FILE]


def test_a_folder_that_cannot_be_written_does_not_end_the_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on in memory and says so once."""
    (tmp_path / "file").write_text("in the way")
    telemetry = record(Ticker(), 0.2, tmp_path / "file" / "recording")
    assert telemetry.quality.samples > 2
    assert len([entry for entry in caplog.records if "in memory only" in entry.getMessage()]) == 1


FILL = """
import logging, resource, signal, sys, time
from pathlib import Path
from server.telemetry.recorder import Recorder, load_recording
from server.telemetry.sensors import Sensors
logging.basicConfig(stream=sys.stdout, format="%(message)s")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
recorder = Recorder(Sensors(), 0.02, folder)
recorder.start()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / "telemetry.csv").stat().st_size + 700, hard))
time.sleep(0.5)
full = load_recording(folder)
print("full", len(full.t_s))
if sys.argv[2] == "room":
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
telemetry = recorder.stop()
print("memory", len(telemetry.t_s), "disk", len(load_recording(folder).t_s))
"""


@pytest.mark.parametrize("later", ["room", "none"])
def test_a_full_disk_costs_no_sample(tmp_path: Path, later: str) -> None:
    """What fits is whole and readable, the rest stays in memory and is written when there is room at the end."""
    script = [sys.executable, "-c", FILL, str(tmp_path), later]
    lines = subprocess.run(script, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert sum("in memory only" in line for line in lines) == 1
    full = int(next(line for line in lines if line.startswith("full")).split()[1])
    _, memory, _, disk = lines[-1].split()
    assert full < int(memory)
    assert int(disk) == (int(memory) if later == "room" else full)


def test_a_slow_sensor_does_not_hold_up_the_beat() -> None:
    """A file that takes long to answer is read by a thread of its own; its newest value is there at once."""
    from server.telemetry.series import Group
    from server.telemetry.slow import SlowGroup

    def dawdle() -> list[float | None]:
        time.sleep(0.05)
        return [os.getpid()]

    slow = SlowGroup(Group([SeriesInfo(metric="m", unit="1", source="chip")], dawdle), dawdle, [1.0])
    began = time.monotonic()
    assert [slow.group.read() for _ in range(100)] == [[1.0]] * 100
    assert time.monotonic() - began < 1
    assert "slow" in slow.group.infos[0].source
    slow.close()

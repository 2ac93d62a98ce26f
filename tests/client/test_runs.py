"""Run folders: read as written, and clear about what they are not."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from client.analysis.runs import RUN_FILE, read_run, write_run
from client.files.saved import RunError, file_name, make_folder, new_folder, reserved_folder, write_telemetry_csv
from contract.telemetry import Phase, SamplerQuality, SeriesInfo, Telemetry
from tests.client.made_runs import made_entry, made_run


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The same run comes back, from the folder and from the file."""
    run = made_run(made_entry([1.0] * 10, threads=2), made_entry(None))
    write_run(tmp_path, run)
    assert read_run(tmp_path) == read_run(tmp_path / RUN_FILE) == run
    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]
    document = json.loads((tmp_path / RUN_FILE).read_text())
    assert document["schema_version"] == 1
    assert {"host", "device", "job", "result", "telemetry"} <= set(document["entries"][0])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "was not written by `client bench`"),
        ("[1]", "holds no result of edgerun"),
        ('{"schema_version": 1, "kind": "other"}', "was not written by"),
        ("no json", "is not JSON"),
        ('{"schema_version": 2, "kind": "edgerun-bench"}', "newer edgerun (schema 2; this one reads 1)"),
        ('{"schema_version": 1, "kind": "edgerun-bench", "entries": [{"host": 1}]}', "is damaged: "),
    ],
)
def test_foreign_and_newer_files_are_told_apart(tmp_path: Path, text: str, complaint: str) -> None:
    """Each with what it is, never a traceback."""
    (tmp_path / RUN_FILE).write_text(text)
    with pytest.raises(RunError) as caught:
        read_run(tmp_path)
    assert complaint in str(caught.value)
    assert caught.value.exit_code == 2


def test_no_run_folder(tmp_path: Path) -> None:
    """A folder without run.json."""
    with pytest.raises(RunError, match=r"there is no run\.json"):
        read_run(tmp_path)


def test_folders_are_new_and_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs in one second get two folders; a folder with something in it is refused."""
    monkeypatch.chdir(tmp_path)
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    first = make_folder(new_folder("a b/c", now))
    second = new_folder("a b/c", now)
    assert (first, second) == (Path("runs/20260102T030405Z-a-b-c"), Path("runs/20260102T030405Z-a-b-c-2"))
    (first / "x").touch()
    with pytest.raises(RunError, match="not empty"):
        make_folder(first)
    with reserved_folder(second) as folder:
        assert folder.is_dir()
    assert not second.exists()


@pytest.mark.parametrize(
    ("text", "name"), [("127.0.0.1:80", "127.0.0.1-80"), ("../../x", "x"), ("", "unnamed"), ("é", "unnamed")]
)
def test_names_from_outside_make_harmless_files(text: str, name: str) -> None:
    """No separators, no leading dots."""
    assert file_name(text) == name


def test_telemetry_as_csv(tmp_path: Path) -> None:
    """Seconds, phase, a column a series; what is absent is empty."""
    telemetry = Telemetry(
        interval_s=1,
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        t_s=[0.0, 1.0, 2.0],
        series={"cpu_temperature_celsius": [50.0, None, 52.5]},
        info={"cpu_temperature_celsius": SeriesInfo(metric="cpu_temperature_celsius", unit="celsius", source="x")},
        unavailable={},
        phases=[Phase(name="load", start_s=0, end_s=1), Phase(name="timed", start_s=1)],
        quality=SamplerQuality(samples=3, missed=0, late_s_max=0, self_cpu_ratio=0),
    )
    write_telemetry_csv(tmp_path / "t.csv", telemetry)
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["t_s", "phase", "cpu_temperature_celsius"],
        ["0.0", "load", "50.0"],
        ["1.0", "timed", ""],
        ["2.0", "timed", "52.5"],
    ]

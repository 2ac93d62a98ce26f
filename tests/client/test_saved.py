"""What the client saved once stays readable; what a newer one saved is refused with words."""

import json
import shutil
from pathlib import Path

import pytest

from client.files.saved import SCHEMA_VERSIONS, RunError
from client.report.data import report_data
from client.report.sources import Sources, read_sources
from tests.home import Home

SAVED = Path(__file__).parent / "saved"
VERSIONED = sorted(path for path in SAVED.rglob("*.json") if path.name != "job.json")


def kinds(found: Sources) -> tuple[int, int, int]:
    """How many runs, profiles and programs were read."""
    return len(found.runs), len(found.profiles), len(found.programs)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("first/bench", (1, 0, 0)),
        ("first/program", (0, 0, 1)),
        ("profiles/profile.json", (0, 1, 0)),
        ("reviewed/bench", (1, 0, 0)),
        ("reviewed/program", (0, 0, 1)),
        ("reviewed/profile.json", (0, 1, 0)),
    ],
)
def test_every_version_is_read(path: str, expected: tuple[int, int, int]) -> None:
    """With its figures, also for a report."""
    found = read_sources([SAVED / path])
    assert kinds(found) == expected
    assert report_data(found).summary
    for _, run in found.runs:
        assert [entry.result is not None and entry.result.fps is not None for entry in run.entries] == [True, True]
    for _, profile in found.profiles:
        assert max(each.cumulative_share for each in profile.operators) == pytest.approx(profile.explained, abs=0.01)
    for program in found.programs:
        assert program.result is not None
        assert program.telemetry is not None


def test_a_run_is_compared_with_one_of_another_time(tmp_path: Path) -> None:
    """As are profiles."""
    home = Home(tmp_path)
    for name in ("bench", "profile.json"):
        before = "first" if name == "bench" else "profiles"
        done = home.client("compare", str(SAVED / before / name), str(SAVED / "reviewed" / name), "-o", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["operators" if name == "profile.json" else "rows"]


@pytest.mark.parametrize("path", VERSIONED, ids=[str(path.relative_to(SAVED)) for path in VERSIONED])
def test_a_newer_version_is_refused(path: Path, tmp_path: Path) -> None:
    """With what to do, and without a traceback."""
    folder = shutil.copytree(path.parent, tmp_path / "copy")
    document = json.loads(path.read_text())
    (folder / path.name).write_text(json.dumps(document | {"schema_version": 1 + max(SCHEMA_VERSIONS.values())}))
    with pytest.raises(RunError, match="newer edgerun") as raised:
        read_sources([folder / path.name if path.name == "profile.json" else folder])
    assert raised.value.hint == "install that version here"

"""Profiles side by side: which operators correspond, and what the commands make of it."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from client.analysis.operators import align_operators
from client.report.profile_chart import bars, write_profile_chart
from contract.results import OperatorProfile, ProfileResult
from tests.agents import RunningAgent
from tests.contract.test_roundtrip import OPERATOR, PROFILED
from tests.home import Home

ROWS = [(0, "CONV_2D", "Convolution"), (1, "ADD", "Add"), (None, None, "Clamp"), (None, None, "Static Reshape")]


def row(number: int, operator: int | None, kind: str | None, name: str, mean_us: float = 2.0) -> OperatorProfile:
    update = {"number": number, "operator": operator, "kind": kind, "name": name, "mean_us": mean_us}
    return OPERATOR.model_copy(update={**update, "output_shape": [1, 2] if kind else None})


def result(*rows: OperatorProfile, digest: str = "sha256:" + "0" * 64) -> ProfileResult:
    return PROFILED.model_copy(update={"operators": list(rows), "model_digest": digest})


def delegated() -> ProfileResult:
    executed = [*ROWS, (2, "MEAN", "Mean")]
    return result(*(row(number, *each) for number, each in enumerate(executed)))


def test_what_a_delegate_adds_counts_for_a_neighbour() -> None:
    """A clamp finishes the operator before it, a reshape prepares the next."""
    lines = align_operators([delegated()])
    assert [line.index for line in lines] == [0, 1, 2]
    shares = [line.cells[0] for line in lines]
    assert [share.executed_as for share in shares if share is not None] == [
        ("Convolution",),
        ("Add", "Clamp"),
        ("Static Reshape", "Mean"),
    ]
    assert [share.mean_us for share in shares if share is not None] == [2.0, 4.0, 4.0]


def test_operators_of_one_model_correspond_by_index() -> None:
    """One that a delegate folded into a neighbour is missing on that side only."""
    builtin = result(*(row(n, n, kind, kind, 3.0) for n, kind in enumerate(["CONV_2D", "ADD", "MEAN", "SOFTMAX"])))
    lines = align_operators([delegated(), builtin])
    assert [(line.index, line.kind) for line in lines] == [(0, "CONV_2D"), (1, "ADD"), (2, "MEAN"), (3, "SOFTMAX")]
    assert [line.difference_us for line in lines] == [1.0, -1.0, -1.0, None]
    assert lines[0].ratio == 1.5
    assert lines[3].cells[0] is None


def test_operators_of_two_models_correspond_in_their_order() -> None:
    """What only one of them has stands between its neighbours."""
    left = result(*(row(n, n, kind, kind) for n, kind in enumerate(["CONV_2D", "ADD", "MEAN"])))
    kinds = ["QUANTIZE", "CONV_2D", "ADD", "MEAN", "QUANTIZE"]
    right = result(*(row(n, n, kind, kind) for n, kind in enumerate(kinds)), digest="sha256:" + "1" * 64)
    lines = align_operators([left, right])
    assert [line.kind for line in lines] == kinds
    assert [line.cells[0] is not None for line in lines] == [False, True, True, True, False]


def test_operators_that_belong_to_no_file_correspond_by_name() -> None:
    """As those of a runtime's own graph."""
    profile = result(row(0, None, None, "conv"), row(1, None, None, "softmax"))
    assert [(line.index, line.kind) for line in align_operators([profile, profile])] == [
        (None, "conv"),
        (None, "softmax"),
    ]


def test_the_bars_of_a_chart_add_up(tmp_path: Path) -> None:
    """The slowest, the others, what nothing explains; the file is a picture."""
    rows = [row(n, n, "CONV_2D", "CONV_2D", float(n)) for n in range(1, 21)]
    profile = result(*rows).model_copy(update={"unattributed_us": 5.0, "explained": 0.9})
    drawn = bars(profile, 15)
    assert [name for name, _, _ in drawn[-2:]] == ["5 others", "unattributed"]
    assert sum(mean for _, mean, _ in drawn) == sum(range(1, 21)) + 5.0
    write_profile_chart(tmp_path / "chart.png", profile)
    with Image.open(tmp_path / "chart.png") as image:
        assert image.width > 800


@pytest.fixture
def profiles(home: Home, job_agent: RunningAgent) -> tuple[Path, Path]:
    """Two saved profiles of one model, and a chart."""
    home.knows(job_agent)
    saved = home.folder / "default.json", home.folder / "builtin.json"
    common = ("profile", "--model", "digits", "--iterations", "70")
    first = home.client(*common, "--save", str(saved[0]), "--chart", str(home.folder / "chart.svg"))
    assert first.returncode == 0, first.stderr
    second = home.client(*common, "--save", str(saved[1]), "--kernels", "builtin", "--method", "single-operator")
    assert second.returncode == 0, second.stderr
    assert "timed by single-operator" in second.stdout
    return saved


def test_saved_profiles_are_compared(home: Home, profiles: tuple[Path, Path]) -> None:
    """As a table, JSON and CSV; the chart is there too."""
    assert (home.folder / "chart.svg").read_text().lstrip().startswith("<?xml")
    names = [str(path) for path in profiles]
    table = home.client("compare", *names)
    assert table.returncode == 0, table.stderr
    assert "CONV_2D" in table.stdout
    assert "the whole graph" in table.stdout
    document = json.loads(home.client("compare", *names, "-o", "json").stdout)
    assert [each["method"] for each in document["profiles"]] == ["litert-native", "single-operator"]
    rows = list(csv.DictReader(io.StringIO(home.client("compare", *names, "-o", "csv").stdout)))
    assert [row["operator"] for row in rows] == [str(each["operator"]) for each in document["operators"]]
    assert all(row["builtin: mean_us"] for row in rows)


def test_profiles_and_runs_are_not_mixed(home: Home, profiles: tuple[Path, Path]) -> None:
    """A line and exit code 2, as for a file that is not there."""
    assert home.client("compare", str(profiles[0]), "missing.json").returncode == 2
    chart = home.client("profile", "--model", "digits", "--chart", "chart.gif")
    assert chart.returncode == 2
    assert ".png" in chart.stderr

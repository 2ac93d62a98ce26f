"""`client bench` and `client profile` with models of every task: detectors, and models of several tensors."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from client.analysis.runs import read_run
from contract.results import BenchmarkResult
from tests import detectors
from tests.agents import RunningAgent, running_agent
from tests.home import Home
from tests.images import encoded
from tests.server.openinference.models import arithmetic

QUICK = ("--iterations", "30", "--interval", "0.1s", "--quiet")


@pytest.fixture(scope="module")
def measuring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent with a detector, and a model of two inputs and four outputs."""
    folder = tmp_path_factory.mktemp("measuring")
    (folder / "spots.tflite").write_bytes(detectors.yolo_v8())
    (folder / "arithmetic.onnx").write_bytes(arithmetic())
    with running_agent(folder / "data", "--workers", "1") as agent:
        home = Home(folder / "home").knows(agent)
        for name in ("spots.tflite", "arithmetic.onnx"):
            done = home.client("models", "push", str(folder / name))
            assert done.returncode == 0, done.stderr
        yield agent


@pytest.fixture
def edge(home: Home, measuring: RunningAgent) -> Home:
    """A user of it with a picture."""
    (home.folder / "scene.png").write_bytes(encoded(Image.new("RGB", (320, 160), "red")))
    return home.knows(measuring)


def result_in(folder: Path) -> BenchmarkResult:
    (entry,) = read_run(folder).entries
    assert entry.result is not None
    return entry.result


def test_a_detector_is_measured_with_pictures(edge: Home) -> None:
    """They are brought to its input, beforehand; it names no class of them, and the report and the table take that."""
    done = edge.client("bench", "--model", "spots", "--input", "scene.png", *QUICK, "--save", "run")
    assert done.returncode == 0, done.stderr
    result = result_in(edge.folder / "run")
    assert (len(result.samples_ms), result.predictions) == (30, [])
    assert result.spec.input.kind == "images"
    reported = edge.client("report", "run", "--save", "report.html")
    assert reported.returncode == 0, reported.stderr
    assert '"spots"' in (edge.folder / "report.html").read_text()


def test_models_of_every_task_are_compared(edge: Home) -> None:
    """One table for a classifier, the embedded detector, and tensors of numbers."""
    models = "digits,digits-detector,arithmetic"
    done = edge.client("bench", "--model", models, *QUICK, "--save", "run", "-o", "csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["model"] for row in rows] == models.split(",")
    assert all(float(row["fps"]) > 0 for row in rows)
    results = [entry.result for entry in read_run(edge.folder / "run").entries if entry.result is not None]
    labels = {result.spec.model: bool(result.predictions) for result in results}
    assert labels == {"digits": True, "digits-detector": False, "arithmetic": False}
    again = edge.client("bench", "--model", "digits-detector", *QUICK, "--save", "again")
    assert again.returncode == 0, again.stderr
    compared = edge.client("compare", "run", "again")
    assert compared.returncode == 0, compared.stderr
    assert "digits-detector" in compared.stdout


def test_numbers_are_no_pictures(edge: Home) -> None:
    """A model that takes none says so, and what to do."""
    done = edge.client("bench", "--model", "arithmetic", "--input", "scene.png", *QUICK, "--save", "run")
    assert done.returncode == 5
    assert "arithmetic takes tensors of numbers" in done.stderr
    assert "random input" in done.stderr


@pytest.mark.parametrize(("model", "operator"), [("spots", "CONV_2D"), ("arithmetic", "difference")])
def test_every_task_can_be_profiled(edge: Home, model: str, operator: str) -> None:
    """Time by operator, with several inputs too."""
    done = edge.client("profile", "--model", model, "--iterations", "5", "--quiet", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert operator in json.dumps(json.loads(done.stdout))

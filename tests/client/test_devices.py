"""Devices, formats and precisions from the command line, against a real agent."""

import json
from pathlib import Path

import openvino as ov
import pytest

from client.analysis.matrix import devices_of
from client.errors import EdgeError
from client.files.model_files import local_model
from server.synthesis.models import synthetic_model
from tests.agents import RunningAgent
from tests.home import Home


@pytest.fixture(scope="module")
def ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet20 as OpenVINO IR in single and half precision: resnet-fp32.xml and resnet-fp16.xml with their weights."""
    folder = tmp_path_factory.mktemp("ir")
    (folder / "resnet.tflite").write_bytes(synthetic_model("resnet20-float32"))
    model = ov.Core().read_model(folder / "resnet.tflite")
    for name, half in (("fp32", False), ("fp16", True)):
        ov.save_model(model, folder / f"resnet-{name}.xml", compress_to_fp16=half)
    return folder


def test_single_and_half_precision_in_one_table(home: Home, agent: RunningAgent, ir: Path) -> None:
    """Two models of two files each, batch 1 and 10: load time, inference time and frames per second, in one call."""
    home.knows(agent)
    for name in ("resnet-fp32", "resnet-fp16"):
        pushed = home.client("models", "push", str(ir / f"{name}.xml"))
        assert pushed.returncode == 0, pushed.stderr
        assert "runs on openvino" in pushed.stderr
    arguments = ["bench", "--model", "resnet-fp32,resnet-fp16", "--batch", "1,10", "--iterations", "20"]
    done = home.client(*arguments, "--device", "CPU", "--precision", "f32")
    assert done.returncode == 0, done.stderr
    heading, *rows = (line for line in done.stdout.splitlines() if line.startswith(("host", "edge1")))
    for column in ("model", "precision", "batch", "load ms", "first ms", "p50 ms", "fps"):
        assert column in heading
    assert [row.split()[1] for row in rows] == ["resnet-fp32"] * 2 + ["resnet-fp16"] * 2
    assert {tuple(row.split()[2:5]) for row in rows} == {("openvino", "CPU", "f32")}


def test_auto_says_what_it_chose_and_why(home: Home, agent: RunningAgent) -> None:
    """On a machine without an accelerator: the CPU, with the reason of each device that was left out."""
    home.knows(agent)
    done = home.client("bench", "--model", "digits", "--device", "auto,cpu", "--iterations", "20")
    assert done.returncode == 0, done.stderr
    assert "AUTO: no accelerator can be used here: litert on the CPU" in done.stdout
    assert "  openvino GPU: " in done.stdout
    assert "  onnx: it reads onnx, not tflite" in done.stdout
    wrong = home.client("bench", "--model", "digits", "--device", "EDGETPU", "--iterations", "5")
    assert wrong.returncode == 5
    assert "libedgetpu" in wrong.stderr
    misspelt = home.client("bench", "--device", "my GPU")
    assert misspelt.returncode == 2


def test_devices_are_listed_with_reasons(home: Home, agent: RunningAgent) -> None:
    """Those that can be used and those that cannot."""
    done = home.knows(agent).client("devices", "-o", "json")
    (runtimes,) = (each["runtimes"] for each in json.loads(done.stdout)["hosts"].values())
    found = {(each["name"], device["name"]): device for each in runtimes for device in each["devices"]}
    assert found["openvino", "CPU"]["available"]
    assert not found["openvino", "NPU"]["available"]
    assert found["litert", "GPU"]["detail"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto,cpu", ("AUTO", "CPU")),
        ("AUTO:GPU,CPU", ("AUTO:GPU,CPU",)),
        ("CPU,HETERO:GPU,CPU", ("CPU", "HETERO:GPU,CPU")),
        ("AUTO:GPU,CPU;CPU", ("AUTO:GPU,CPU", "CPU")),
    ],
)
def test_lists_of_devices_may_hold_lists(text: str, expected: tuple[str, ...]) -> None:
    """A comma after a colon belongs to the device."""
    assert devices_of(text) == expected


def test_files_of_a_model_are_found_by_their_names(tmp_path: Path) -> None:
    """Weights beside the graph go with it; an .xml without them is no model."""
    for name in ("net.onnx", "net.onnx.data", "other.onnx", "net.xml"):
        (tmp_path / name).write_bytes(b"")
    found = local_model(tmp_path / "net.onnx", [tmp_path / "other.onnx"])
    assert (found.format, set(found.parts)) == ("onnx", {"net.onnx.data", "other.onnx"})
    with pytest.raises(EdgeError, match=r"net\.bin is missing"):
        local_model(tmp_path / "net.xml")
    with pytest.raises(EdgeError, match="none of"):
        local_model(tmp_path / "net.zip")

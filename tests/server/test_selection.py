"""The order of devices, without any of them."""

import pytest

from contract.devices import RuntimeDevice
from server.runtimes.selection import Candidate, NoDevice, choose


def device(name: str, detail: str = "", *, available: bool = True) -> RuntimeDevice:
    return RuntimeDevice(name=name, available=available, detail=detail or name)


PROCESSOR = {"litert": [device("CPU")], "openvino": [device("CPU"), device("GPU", "no driver", available=False)]}
RICH = {
    "litert": [device("CPU"), device("EDGETPU")],
    "openvino": [device("CPU"), device("GPU.0", "Iris (iGPU)"), device("GPU.1", "Arc (dGPU)"), device("NPU")],
}


@pytest.mark.parametrize(
    ("requested", "found", "expected"),
    [
        ("AUTO", PROCESSOR, ["litert CPU"]),
        ("AUTO", RICH, ["openvino GPU.1", "litert EDGETPU", "openvino GPU.0", "litert CPU"]),
        ("AUTO:NPU,CPU", RICH, ["openvino NPU", "litert CPU"]),
        ("AUTO:GPU,NPU", RICH, ["openvino GPU.1", "openvino GPU.0", "openvino NPU"]),
        ("AUTO:CPU", RICH, ["litert CPU"]),
        ("GPU", RICH, ["openvino GPU.0"]),
        ("GPU.1", RICH, ["openvino GPU.1"]),
        ("CPU", {"openvino": RICH["openvino"]}, ["openvino CPU"]),
        ("HETERO:GPU,CPU", RICH, ["openvino HETERO:GPU,CPU"]),
    ],
)
def test_candidates_come_best_first(requested: str, found: dict[str, list[RuntimeDevice]], expected: list[str]) -> None:
    """Discrete before integrated, accelerators before the CPU, NPUs when named, and nothing else when named."""
    chosen = choose(requested, found, {})
    assert {f"{each.runtime} {each.device}" for each in chosen.candidates} == set(expected)
    assert chosen.candidates[0] == Candidate(*expected[0].split(" "))
    assert chosen.candidates[-1] == Candidate(*expected[-1].split(" "))


@pytest.mark.parametrize(
    ("requested", "complaint"),
    [
        ("GPU", "openvino GPU: no driver"),
        ("AUTO:GPU", "openvino GPU: no driver"),
        ("NPU", "litert NPU: litert knows no NPU"),
        ("HETERO:GPU,CPU", "openvino GPU: no driver"),
    ],
)
def test_what_is_not_there_is_refused_with_every_reason(requested: str, complaint: str) -> None:
    """A device that was asked for by name is never replaced by another."""
    with pytest.raises(NoDevice, match=complaint):
        choose(requested, PROCESSOR, {"onnx": "it reads onnx, not tflite"})


def test_only_openvino_splits_a_graph() -> None:
    """Without it the reason says so."""
    with pytest.raises(NoDevice, match="only openvino splits a graph over devices; it is not installed"):
        choose("HETERO:GPU,CPU", {"litert": [device("CPU")]}, {})


def test_everything_that_was_left_out_is_listed() -> None:
    """Runtimes that do not read the model, drivers that are missing, and CPUs that come second."""
    chosen = choose("AUTO", PROCESSOR, {"onnx": "it reads onnx, not tflite"})
    reasons = {(each.runtime, each.device): each.reason for each in chosen.rejected}
    assert reasons == {
        ("onnx", "*"): "it reads onnx, not tflite",
        ("openvino", "GPU"): "no driver",
        ("openvino", "CPU"): "litert is preferred on the CPU",
    }
    assert chosen.reason == "no accelerator can be used here: litert on the CPU"
    shy = choose("AUTO", RICH, {}).rejected
    assert any(each.device == "NPU" and "named" in each.reason for each in shy)

"""Models that edgerun writes itself: what they cost, that every runtime runs them, and that int8 follows float."""

import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import openvino
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from server.runtimes.inspection import InspectedModel
from server.synthesis import SYNTHETIC_MODELS
from server.synthesis.models import calibration_frames, synthetic_model
from server.synthesis.quantise import calibrate, quantise
from server.tflite.architectures import resnet20
from server.tflite.facts import graph_facts
from server.tflite.writer import write

Floats = NDArray[np.float64]

COSTS = {"resnet20": (33, 40_813_184, 271_690), "mobilenet_v2": (65, 300_774_272, 3_487_816)}
"""Operators, multiply-accumulates and parameters: those of the papers (0.27 M; 300 M and 3.4 M)."""
OLDEST_RUNTIME_KNOWS = 4
"""Operator versions that tflite-runtime 2.14 has for all of these kinds."""

LOWEST = {"int8": -128, "uint8": 0}

written = cache(synthetic_model)


def frames(model: bytes, count: int = 4) -> list[NDArray[np.float32]]:
    """Patches and noise of 0 to 1."""
    source = np.random.default_rng(5)
    (_, height, width, channels), _ = InspectedModel(model).inputs[0]
    sizes = [4 if number % 2 else 1 for number in range(count)]
    return [
        source.random((1, height // size, width // size, channels), dtype=np.float32).repeat(size, 1).repeat(size, 2)
        for size in sizes
    ]


def stored(model: bytes, frame: NDArray[np.float32]) -> NDArray[np.generic]:
    """A frame as the model's input holds it: int8 by scale 1/255 and zero point -128."""
    _, dtype = InspectedModel(model).inputs[0]
    if dtype == np.float32:
        return frame
    lowest = LOWEST[np.dtype(dtype).name]
    steps: NDArray[np.generic] = np.clip(np.round(frame * 255) + lowest, lowest, lowest + 255).astype(np.dtype(dtype))
    return steps


def real(values: NDArray[np.generic]) -> Floats:
    """Probabilities; quantised ones are steps of 1/256."""
    wide: Floats = values.astype(np.float64)
    return wide if values.dtype == np.float32 else (wide - LOWEST[values.dtype.name]) / 256


def probabilities(model: bytes, runtime: str, *, delegates: bool = True) -> Floats:
    """Rows of classes for `frames`."""
    opened = InspectedModel(model, runtime, delegates=delegates)
    return np.concatenate([real(opened.run([stored(model, frame)])[0]) for frame in frames(model)])


@pytest.mark.parametrize("name", SYNTHETIC_MODELS)
def test_a_written_model_costs_what_the_real_one_costs(name: str) -> None:
    """Operators, multiply-accumulates and parameters; it says that its weights are made up."""
    model = written(name)
    operators = graph_facts(model).operators
    found = (len(operators), sum(each.macs for each in operators), sum(each.parameters for each in operators))
    assert found == COSTS[name.rpartition("-")[0]]
    assert {each.output_dtype for each in operators} == {name.rpartition("-")[2]}
    tree = schema.Model.GetRootAs(model, 0)
    assert "synthetic weights" in tree.Description().decode()
    assert tree.SignatureDefs(0).SignatureKey() == b"serving_default"
    codes = [tree.OperatorCodes(number) for number in range(tree.OperatorCodesLength())]
    assert max(code.Version() for code in codes) <= OLDEST_RUNTIME_KNOWS


@pytest.mark.parametrize("name", SYNTHETIC_MODELS)
def test_the_runtimes_agree_on_a_written_model(name: str, tmp_path: Path) -> None:
    """Float within 1e-4; int8 within a few steps, since kernels round differently."""
    model = written(name)
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    reference = probabilities(model, "litert", delegates=False)
    allowed = 1e-4 if name.endswith("float32") else 8 / 256
    for other in (
        probabilities(model, "litert"),
        probabilities(model, "tflite"),
        np.concatenate([real(compiled(stored(model, frame))[0]) for frame in frames(model)]),
    ):
        assert np.abs(other - reference).max() < allowed
        assert (other.argmax(axis=1) == reference.argmax(axis=1)).all()


@pytest.mark.parametrize("architecture", COSTS)
def test_int8_follows_float(architecture: str) -> None:
    """The same best class, and probabilities within 0.05."""
    exact, rough = (probabilities(written(f"{architecture}-{dtype}"), "litert") for dtype in ("float32", "int8"))
    assert (exact.argmax(axis=1) == rough.argmax(axis=1)).all()
    assert np.abs(exact - rough).max() < 0.05


def test_stored_pixels_can_be_fed_as_uint8() -> None:
    """Two more operators, and the same probabilities to the last step."""
    graph = resnet20()
    ranges = calibrate(graph, calibration_frames(graph))
    model = write(quantise(graph, ranges, io="uint8"), "uint8")
    assert [each.kind for each in graph_facts(model).operators][:: len(graph.operators) + 1] == ["QUANTIZE"] * 2
    for runtime in ("litert", "tflite"):
        assert (probabilities(model, runtime) == probabilities(written("resnet20-int8"), runtime)).all()


@pytest.mark.parametrize("name", SYNTHETIC_MODELS)
def test_a_written_model_takes_a_batch(name: str) -> None:
    """Ten frames at once, in both interpreters, each row what the frame gives alone."""
    from ai_edge_litert.interpreter import Interpreter as LiteRt
    from tflite_runtime.interpreter import Interpreter as TfLite

    model = written(name)
    frame = stored(model, frames(model, 1)[0])
    for interpreter, runtime in ((LiteRt, "litert"), (TfLite, "tflite")):
        opened = interpreter(model_content=model)
        source, sink = opened.get_input_details()[0], opened.get_output_details()[0]
        opened.resize_tensor_input(source["index"], [10, *frame.shape[1:]])
        opened.allocate_tensors()
        opened.set_tensor(source["index"], np.repeat(frame, 10, axis=0))
        opened.invoke()
        alone = real(InspectedModel(model, runtime, delegates=True).run([frame])[0])
        assert np.abs(real(opened.get_tensor(sink["index"])) - alone).max() < 4 / 256


@pytest.mark.parametrize("name", ["resnet20-float32", "resnet20-int8"])
def test_writing_again_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    """In another process too."""
    path = tmp_path / "again.tflite"
    command = [str(Path(sys.executable).with_name("server")), "write-model", name, str(path)]
    subprocess.run(command, check=True, capture_output=True)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == hashlib.sha256(written(name)).hexdigest()

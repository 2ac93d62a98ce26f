"""Runtimes side by side: the same graph in three formats gives the same results, as one file or as several."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contract.codes import ErrorCode
from contract.digests import identity
from contract.models import ModelDescription
from server.runtimes import open_runtime
from server.runtimes.base import Array, LoadOptions, ModelFault, ModelFiles, tflite_files
from server.runtimes.onnx import providers_in
from server.synthesis.models import synthetic_model
from tests.agents import RunningAgent
from tests.images import digit
from tests.server.test_classify import problem
from tests.server.test_models import digest_of, put_blob

CLASSES = 10
SIDE = 8


def onnx_classifier(batch: int | str = "N") -> onnx.ModelProto:
    """A linear classifier with softmax over an 8 x 8 picture, channels first, as exporters write it."""
    source = np.random.default_rng(5)
    weights = source.normal(size=(SIDE * SIDE, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["odds"]),
        ],
        "linear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("odds", TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFiles]:
    """ResNet20 as TFLite file and as OpenVINO IR in single and half precision."""
    folder = tmp_path_factory.mktemp("resnet")
    content = synthetic_model("resnet20-float32")
    (folder / "resnet.tflite").write_bytes(content)
    model = ov.Core().read_model(folder / "resnet.tflite")
    found = {"tflite": tflite_files(content)}
    for name in ("fp32", "fp16"):
        path = folder / f"{name}.xml"
        ov.save_model(model, path, compress_to_fp16=name == "fp16")
        found[name] = ModelFiles("openvino", path.read_bytes(), path)
    return found


def real(outputs: Sequence[Array]) -> NDArray[np.float64]:
    return outputs[0].astype(np.float64)


def test_formats_of_one_graph_agree(resnet: dict[str, ModelFiles]) -> None:
    """Another runtime or file changes nothing but the last digits."""
    frame = np.random.default_rng(2).random((1, 32, 32, 3), np.float32)
    expected = real(open_runtime("litert", delegates=True).load(resnet["tflite"], LoadOptions()).invoke(frame))
    openvino = open_runtime("openvino", delegates=True)
    for name, tolerance in (("tflite", 1e-4), ("fp32", 1e-4), ("fp16", 1e-2)):
        model = openvino.load(resnet[name], LoadOptions())
        assert np.abs(real(model.invoke(frame)) - expected).max() < tolerance
        assert (model.execution.device, model.execution.precision) == ("CPU", "f32")
        assert np.abs(real(model.clone().invoke(frame)) - expected).max() < tolerance


def test_openvino_fixes_batches_and_refuses_other_arrays(resnet: dict[str, ModelFiles]) -> None:
    """It would cast and broadcast in silence."""
    model = open_runtime("openvino", delegates=True).load(resnet["fp32"], LoadOptions(batch=4, threads=2))
    frames = np.random.default_rng(3).random((4, 32, 32, 3), np.float32)
    assert model.invoke(frames)[0].shape == (4, 10)
    for wrong in (frames[:1], frames.astype(np.float64)):
        with pytest.raises(ModelFault, match=r"takes float32 \[4, 32, 32, 3\]"):
            model.invoke(wrong)


def test_a_compiled_model_is_loaded_from_the_cache(resnet: dict[str, ModelFiles], tmp_path: Path) -> None:
    """The second load says that it was; so does a new process, which knows the model by its path."""
    cached = LoadOptions(cache=tmp_path / "cache")
    first = open_runtime("openvino", delegates=True).load(resnet["fp32"], cached)
    second = open_runtime("openvino", delegates=True).load(resnet["fp32"], cached)
    assert (first.execution.from_cache, second.execution.from_cache) == (False, True)


def test_an_accelerator_that_is_not_there_is_refused(resnet: dict[str, ModelFiles]) -> None:
    """Each runtime names the device."""
    for runtime, device in (("litert", "GPU"), ("litert", "EDGETPU"), ("openvino", "GPU"), ("tflite", "GPU")):
        with pytest.raises(ModelFault, match=r"\S"):
            open_runtime(runtime, delegates=True).load(resnet["tflite"], LoadOptions(device=device))
    known = {device.name: device for device in open_runtime("litert", delegates=True).devices()}
    assert known["CPU"].available
    assert not known["GPU"].available
    assert "libedgetpu" in known["EDGETPU"].detail


def test_onnx_runs_batches_and_names_what_ran(tmp_path: Path) -> None:
    """A free batch is taken, a fixed one is not; CUDA that is missing is an error and no silent CPU."""
    runtime = open_runtime("onnx", delegates=True)
    free = ModelFiles("onnx", onnx_classifier().SerializeToString())
    model = runtime.load(free, LoadOptions(batch=3))
    assert model.invoke(np.zeros((3, 1, SIDE, SIDE), np.float32))[0].shape == (3, CLASSES)
    assert (model.execution.device, model.execution.precision) == ("CPU", "f32")
    with pytest.raises(ModelFault, match="fixed to 1 frames"):
        runtime.load(ModelFiles("onnx", onnx_classifier(1).SerializeToString()), LoadOptions(batch=3))
    with pytest.raises(ModelFault, match="CUDAExecutionProvider"):
        runtime.load(free, LoadOptions(device="GPU"))


def test_operators_are_counted_by_the_provider_that_ran_them() -> None:
    """As ONNX Runtime's own trace names them, each operator once."""
    ran = [("conv", "CUDAExecutionProvider"), ("conv", "CUDAExecutionProvider"), ("shape", "CPUExecutionProvider")]
    trace = [{"cat": "Node", "name": name, "args": {"provider": provider}} for name, provider in ran]
    assert providers_in([{"cat": "Session", "name": "model_run"}, *trace]) == {
        "CUDAExecutionProvider": 1,
        "CPUExecutionProvider": 1,
    }


def test_an_onnx_model_with_external_data_classifies(agent: RunningAgent, tmp_path: Path) -> None:
    """Graph and weights travel as one model, channels first, on whichever runtime reads it."""
    path = tmp_path / "linear.onnx"
    onnx.save_model(onnx_classifier(), path, save_as_external_data=True, location="linear.onnx.data", size_threshold=0)
    content, weights = path.read_bytes(), (tmp_path / "linear.onnx.data").read_bytes()
    manifest = {
        "format": "onnx",
        "model": digest_of(content),
        "parts": {"linear.onnx.data": digest_of(weights)},
        "preprocessing": {"input_range": [0.0, 1.0]},
    }
    with agent.http() as http:
        missing = problem(http.put("/v1/models/linear", json=manifest))
        put_blob(http, content)
        put_blob(http, weights)
        response = http.put("/v1/models/linear", json=manifest)
        description = ModelDescription.model_validate_json(response.content)
        default = http.post("/v1/models/linear/classify", content=digit(4)).json()
        other = http.post("/v1/models/linear/classify?runtime=openvino", content=digit(4)).json()
        wrong = problem(http.post("/v1/models/linear/classify?runtime=litert", content=digit(4)))
        http.delete("/v1/models/linear")
    assert missing.code == ErrorCode.UNKNOWN_BLOB
    assert description.digest == identity(digest_of(content), manifest["parts"])  # type: ignore[arg-type]
    assert (description.parts, description.task) == (["linear.onnx.data"], "classification")
    assert {name for name, check in description.runtimes.items() if check.ok} == {"onnx", "openvino"}
    assert (default["runtime"]["name"], other["runtime"]["name"]) == ("openvino", "openvino")
    scores = [[each["score"] for each in reply["predictions"]] for reply in (default, other)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert wrong.code == ErrorCode.RUNTIME_UNAVAILABLE
    assert "reads tflite, not onnx" in wrong.detail


def test_an_ir_without_its_weights_is_refused_with_what_was_said(
    agent: RunningAgent, resnet: dict[str, ModelFiles]
) -> None:
    """The error names the runtime that was tried; a .bin sent as the graph is called by its name."""
    content = resnet["fp32"].content
    with agent.http() as http:
        put_blob(http, content)
        refused = problem(http.put("/v1/models/ir", json={"format": "openvino", "model": digest_of(content)}))
        path = resnet["fp32"].path
        assert path is not None
        bin_file = path.with_suffix(".bin").read_bytes()
        put_blob(http, bin_file)
        mistaken = problem(http.put("/v1/models/ir", json={"format": "openvino", "model": digest_of(bin_file)}))
    assert refused.code == ErrorCode.MODEL_REJECTED
    assert refused.detail.startswith("openvino: ")
    assert mistaken.code == ErrorCode.NOT_A_MODEL
    assert "the .xml" in mistaken.detail

"""Profiles by the counters of OpenVINO and the trace of ONNX Runtime."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.codes import ErrorCode
from contract.jobs import JobState
from contract.results import ProfileResult
from server.profilers import onnx as onnx_method
from server.runtimes.onnx import node_times
from server.synthesis.models import synthetic_model
from tests.agents import RunningAgent
from tests.server.jobs.running import run
from tests.server.test_classify import problem
from tests.server.test_models import put_model

KINDS = ["Conv", "Relu", "GlobalAveragePool", "Flatten", "MatMul", "Softmax"]


def small_onnx_model() -> bytes:
    """Six operators from a picture to ten classes."""
    source = np.random.default_rng(0)
    weights = numpy_helper.from_array(source.standard_normal((16, 3, 3, 3)).astype(np.float32), "weights")
    classes = numpy_helper.from_array(source.standard_normal((16, 10)).astype(np.float32), "classes")
    constants = {"Conv": ["weights"], "MatMul": ["classes"]}
    values = ["image", *(f"{kind.lower()}_out" for kind in KINDS[:-1]), "odds"]
    nodes = [
        helper.make_node(kind, [values[number], *constants.get(kind, [])], [values[number + 1]], name=kind.lower())
        for number, kind in enumerate(KINDS)
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("odds", TensorProto.FLOAT, [1, 10])],
        [weights, classes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content: bytes = model.SerializeToString()
    onnx.checker.check_model(model)
    return content


def profiled(agent: RunningAgent, **spec: object) -> ProfileResult:
    """The profile of a job that succeeds."""
    job, result = run(agent, {"kind": "profile", "spec": {"iterations": 70, **spec}})
    assert job.state is JobState.SUCCEEDED, job.error
    assert isinstance(result, ProfileResult)
    assert {row.calls for row in result.operators} == {70}
    assert result.iterations == 70
    return result


def test_openvinos_operators_are_found_again_in_the_file(worker_agent: RunningAgent) -> None:
    """Each with the kernel that ran; the weighted ones as the file's, so that their multiplications are known."""
    with worker_agent.http() as http:
        put_model(http, "resnet20", synthetic_model("resnet20-float32"))
    found = profiled(worker_agent, model="resnet20", runtime="openvino")
    assert found.method == "openvino-perf-count"
    assert "optimised away" in str(found.method_detail)
    assert sum(row.macs or 0 for row in found.operators) == found.macs == 40_813_184
    assert all(row.kernel for row in found.operators)
    assert any(row.operator is None for row in found.operators)
    assert found.arena_bytes is None
    assert (found.device, found.precision) == ("CPU", "f32")
    automatic = profiled(worker_agent, model="resnet20", runtime="openvino", device="AUTO", precision="f32")
    assert (automatic.device, automatic.spec.device) == ("CPU", "AUTO")
    with worker_agent.http() as http:
        missing = http.post("/v1/jobs", json={"kind": "profile", "spec": {"model": "resnet20", "device": "GPU"}})
    assert problem(missing).code == ErrorCode.DEVICE_UNAVAILABLE


def test_onnx_runtime_tells_its_operators_by_a_trace(worker_agent: RunningAgent) -> None:
    """A file that is not TFLite has no facts, but names, shapes, providers and times."""
    with worker_agent.http() as http:
        response = put_model(http, "small", small_onnx_model(), format="onnx")
        assert response.status_code == 201, response.text
    for runtime, method in (("onnx", "onnxruntime-trace"), ("openvino", "openvino-perf-count")):
        found = profiled(worker_agent, model="small", runtime=runtime)
        assert found.method == method
        assert (found.macs, found.peak_operator, found.arena_bytes) == (None, None, None)
        assert found.explained is not None
        assert found.explained > 0
    traced = profiled(worker_agent, model="small", runtime="onnx")
    convolution = next(row for row in traced.operators if row.kernel == "Conv on CPU")
    assert (convolution.output_shape, convolution.output_dtype) == ([1, 16, 30, 30], "float32")


def test_a_trace_is_read_run_by_run() -> None:
    """Operators come before the event of the run they belong to; other events mean nothing."""
    facts = {"op_name": "Conv", "provider": "CPUExecutionProvider", "output_type_shape": [{"float": [1, 2]}]}
    node = {"cat": "Node", "name": "a_kernel_time", "dur": 7, "args": facts}
    whole = {"cat": "Session", "name": "model_run", "dur": 9, "args": {}}
    other = {"cat": "Session", "name": "session_initialization", "dur": 1, "args": {}}
    runs = node_times([other, node, whole, node, node, whole])
    assert [len(run) for run in runs] == [1, 2]
    assert (runs[0][0].name, runs[0][0].kernel, runs[0][0].elapsed_us) == ("a", "Conv on CPU", 7.0)
    assert (runs[0][0].output_shape, runs[0][0].output_dtype) == ((1, 2), "float32")


def test_long_traces_are_taken_in_parts(worker_agent: RunningAgent) -> None:
    """More runs than one session records: none is lost between them."""
    with worker_agent.http() as http:
        put_model(http, "small", small_onnx_model(), format="onnx")
    iterations = onnx_method.TRACED_OPERATORS // len(KINDS) + 100
    job, result = run(
        worker_agent, {"kind": "profile", "spec": {"model": "small", "runtime": "onnx", "iterations": iterations}}
    )
    assert job.state is JobState.SUCCEEDED, job.error
    assert isinstance(result, ProfileResult)
    assert {row.calls for row in result.operators} == {iterations}
    assert all(row.mean_us > 0 for row in result.operators)

"""Profile jobs: every operator timed, aligned with the file, and the sum held against the whole."""

import contextlib
import json
import sys

import numpy as np
import pytest

from contract.codes import ErrorCode
from contract.jobs import JobState
from contract.results import ProfileResult
from image_model.catalog import EMBEDDED_FOLDER
from server.profilers import native
from server.profilers.alignment import align
from server.profilers.base import MethodUnavailable
from server.profilers.choice import open_profiler
from server.profilers.order import ProfileOrder
from server.runtimes import litert_profiler
from server.runtimes.base import tflite_files
from server.runtimes.inspection import InspectedModel
from server.runtimes.litert_profiler import OperatorTime
from server.runtimes.noise import noise
from server.synthesis.models import synthetic_model
from server.tflite.cutting import cut
from server.tflite.facts import graph_facts
from server.workers.messages import ModelSource
from tests.agents import RunningAgent, running_agent
from tests.conftest import SuppliedModel
from tests.server.jobs.running import run
from tests.server.test_classify import problem
from tests.server.test_models import put_model

DIGITS = (EMBEDDED_FOLDER / "digits.tflite").read_bytes()
KINDS = ["CONV_2D", "CONV_2D", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX"]


def profiled(agent: RunningAgent, **spec: object) -> ProfileResult:
    job, result = run(agent, {"kind": "profile", "spec": {"model": "digits", **spec}})
    assert job.state is JobState.SUCCEEDED, job.error
    assert isinstance(result, ProfileResult)
    return result


def test_the_file_is_read_without_running_it() -> None:
    """Kinds, shapes and parameters are those of the model's own card."""
    card = json.loads((EMBEDDED_FOLDER / "digits.json").read_text())
    facts = graph_facts(DIGITS)
    kinds = [operator.kind for operator in facts.operators]
    assert [kind for kind in kinds if kind != "RESHAPE"] == KINDS
    assert sum(operator.parameters for operator in facts.operators) == card["parameters"]
    first = facts.operators[0]
    assert first.macs == 3 * 3 * first.output_shape[1] * first.output_shape[2] * first.output_shape[3]
    assert facts.operators[-1].output_shape == (1, 10)
    assert facts.peak_bytes >= max(operator.activation_bytes for operator in facts.operators)


def test_a_file_that_is_cut_off_has_no_facts() -> None:
    """A ValueError, whatever the parser trips over."""
    for length in range(8, len(DIGITS), 997):
        with contextlib.suppress(ValueError):
            graph_facts(DIGITS[:length])


def test_built_in_kernels_are_the_files_own_operators(worker_agent: RunningAgent) -> None:
    """One for one, in their order, with their shapes."""
    found = profiled(worker_agent, kernels="builtin", iterations=200)
    file = graph_facts(DIGITS).operators
    assert [row.kind for row in found.operators] == [operator.kind for operator in file]
    assert [row.operator for row in found.operators] == list(range(len(file)))
    assert not any(row.delegated for row in found.operators)
    assert {row.calls for row in found.operators} == {200}
    assert found.iterations == 200
    assert found.latency is not None
    assert sum(row.share for row in found.operators) == pytest.approx(found.explained, abs=0.01)
    assert all(row.p95_us is not None for row in found.operators)
    assert (found.method, found.complete) == ("litert-native", True)


def test_a_delegates_operators_are_found_again_in_the_file(worker_agent: RunningAgent) -> None:
    """Every operator with weights is timed, whatever the delegate calls it."""
    found = profiled(worker_agent, iterations=50)
    weighted = [row.operator for row in found.operators if row.macs]
    assert weighted == [each.index for each in graph_facts(DIGITS).operators if each.macs]
    assert all(row.p95_us is None for row in found.operators)


def test_the_operators_of_a_real_model_explain_its_time(
    tmp_path_factory: pytest.TempPathFactory, mobilenet: SuppliedModel
) -> None:
    """The sum comes close to the whole, with either kind of kernels; none of the convolutions is lost."""
    with running_agent(tmp_path_factory.mktemp("profile"), "--workers", "1") as agent:
        with agent.http() as http:
            put_model(http, "mobilenet", mobilenet.model_path.read_bytes())
        for kernels, method in [("default", None), ("builtin", None), ("builtin", "single-operator")]:
            found = profiled(agent, model="mobilenet", kernels=kernels, method=method, iterations=60)
            assert found.explained is not None
            if method is None:
                assert 0.9 < found.explained <= 1.01
            assert found.macs == 300_775_552
            assert sum(row.macs or 0 for row in found.operators) == found.macs
            assert (found.peak_activation_bytes, found.peak_operator) == (1470 * 1024, 4)
            assert found.arena_bytes == 1617 * 1024


@pytest.mark.parametrize("runtime", ["tflite", "litert"])
def test_operators_are_timed_one_by_one_without_a_profiler(worker_agent: RunningAgent, runtime: str) -> None:
    """Any TFLite runtime can, and the result says that it was done so."""
    found = profiled(worker_agent, runtime=runtime, method="single-operator", iterations=70)
    file = graph_facts(DIGITS).operators
    assert (found.method, found.method_detail) == ("single-operator", None)
    assert [row.operator for row in found.operators] == [each.index for each in file]
    assert [row.live_bytes for row in found.operators] == [each.live_bytes for each in file]
    assert found.explained is not None
    assert found.explained > 0
    assert max(row.cumulative_share for row in found.operators) == pytest.approx(found.explained, abs=0.01)
    assert found.arena_bytes is not None
    assert found.peak_activation_bytes is not None
    assert found.arena_bytes >= found.peak_activation_bytes
    assert found.peak_resident_bytes is not None
    assert found.resident_before_load_bytes is not None
    assert found.peak_resident_bytes > found.resident_before_load_bytes > 1 << 20


def test_several_threads_are_timed_in_blocks(worker_agent: RunningAgent) -> None:
    """As many times as asked for, though it is not a multiple of a block."""
    found = profiled(worker_agent, runtime="tflite", threads=2, iterations=40)
    assert found.iterations == 40
    assert {row.calls for row in found.operators} == {40}


def test_a_runtimes_own_profiler_is_refused_at_once_where_there_is_none(worker_agent: RunningAgent) -> None:
    """With what it has instead."""
    with worker_agent.http() as http:
        spec = {"runtime": "tflite", "method": "native"}
        answer = problem(http.post("/v1/jobs", json={"kind": "profile", "spec": spec}))
    assert answer.code == ErrorCode.RUNTIME_UNAVAILABLE
    assert answer.hint is not None
    assert "single-operator" in answer.hint


SOURCE = ModelSource("tflite", str(EMBEDDED_FOLDER / "digits.tflite"), "", {})


def order(**fields: object) -> ProfileOrder:
    plain = {"runtime": "litert", "method": None, "builtin": False, "threads": 1}
    counts = {"iterations": 3, "warm_up_iterations": 1, "seed": 0}
    return ProfileOrder(**{"model": SOURCE, "device": "CPU", "precision": None, **plain, **counts, **fields})  # type: ignore[arg-type]


def test_a_version_that_was_not_tried_is_not_profiled_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single operators take over and say why; asked for by name, it is refused."""
    monkeypatch.setattr(litert_profiler, "SUPPORTED", ((0,), (1,)))
    profiler = open_profiler(order(), tflite_files(DIGITS), graph_facts(DIGITS))
    assert profiler.method == "single-operator"
    assert "has not been tried" in str(profiler.detail)
    with pytest.raises(MethodUnavailable, match="has not been tried"):
        open_profiler(order(method="native"), tflite_files(DIGITS), graph_facts(DIGITS))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.abort()", "SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import sys; sys.exit('not this model')", "status 1: not this model"),
    ],
)
def test_a_profiler_that_takes_its_process_down_takes_only_the_trial_down(
    monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    """The job goes on with single operators, and the result says what happened."""
    monkeypatch.setattr(native, "trial_command", lambda order: [sys.executable, "-c", code])
    profiler = open_profiler(order(), tflite_files(DIGITS), graph_facts(DIGITS))
    assert profiler.method == "single-operator"
    assert reason in str(profiler.detail)


@pytest.mark.parametrize("delegates", [True, False])
@pytest.mark.parametrize("runtime", ["litert", "tflite"])
@pytest.mark.parametrize("name", ["digits", "resnet20-float32", "resnet20-int8"])
def test_the_pieces_of_a_model_give_what_the_whole_gives(name: str, runtime: str, delegates: bool) -> None:
    """Bit for bit, when each is fed what the pieces before it gave."""
    model = DIGITS if name == "digits" else synthetic_model(name)
    graph = cut(model)
    assert [piece.kind for piece in graph.cuts] == [each.kind for each in graph_facts(model).operators]
    whole = InspectedModel(model, runtime, delegates=delegates)
    source = np.random.default_rng(3)
    frame = [noise(source, shape, np.dtype(dtype).name) for shape, dtype in whole.inputs]
    values = dict(zip(graph.inputs, frame, strict=True))
    for piece in graph.cuts:
        alone = InspectedModel(piece.model, runtime, delegates=delegates)
        values.update(zip(piece.outputs, alone.run([values[index] for index in piece.inputs]), strict=True))
    chained = [values[index].tobytes() for index in graph.outputs]
    assert chained == [array.tobytes() for array in whole.run(frame)]


def test_a_damaged_file_is_not_cut() -> None:
    """A ValueError, whatever the parser trips over."""
    with pytest.raises(ValueError, match="cannot be read"):
        cut(DIGITS[:2000])


def delegated(*names: str) -> list[OperatorTime]:
    return [OperatorTime(name, number, True, 1.0) for number, name in enumerate(names)]


@pytest.mark.parametrize(
    ("kinds", "executed", "expected"),
    [
        (["CONV_2D", "ADD"], ["Fully Connected (NC, QU8) GEMM", "Add (ND)"], [0, 1]),
        (["ADD", "CONV_2D"], ["Add (ND)", "Clamp (NC)", "Convolution (NHWC)"], [0, None, 1]),
        (["DEPTHWISE_CONV_2D", "CONV_2D"], ["Convolution (NHWC, QU8) DWConv", "Convolution (NHWC)"], [0, 1]),
        (["CONV_2D", "PAD", "CONV_2D"], ["Convolution (NHWC)", "Convolution (NHWC)"], [0, 2]),
        (["SOFTMAX"], ["Something new"], [None]),
    ],
)
def test_executed_operators_are_aligned_by_kind_and_order(
    kinds: list[str], executed: list[str], expected: list[int | None]
) -> None:
    """Added ones stand for nothing, folded ones are passed over, unknown ones are left alone."""
    assert align(kinds, delegated(*executed)) == expected

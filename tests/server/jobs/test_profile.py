"""Profile jobs: every operator timed, aligned with the file, and the sum held against the whole."""

import contextlib
import json

import pytest

from contract.codes import ErrorCode
from contract.jobs import JobState
from contract.results import ProfileResult
from image_model.catalog import EMBEDDED_FOLDER
from server.jobs.host.alignment import align
from server.runtimes.facts import graph_facts
from server.runtimes.litert_profiler import OperatorTime
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
        for kernels in ("default", "builtin"):
            found = profiled(agent, model="mobilenet", kernels=kernels, iterations=60)
            assert found.explained is not None
            assert 0.9 < found.explained <= 1.01
            assert found.macs == 300_775_552
            assert sum(row.macs or 0 for row in found.operators) == found.macs
            assert (found.peak_activation_bytes, found.peak_operator) == (1470 * 1024, 4)


def test_runtimes_without_a_profiler_are_refused_at_once(worker_agent: RunningAgent) -> None:
    """With the reason."""
    with worker_agent.http() as http:
        answer = problem(http.post("/v1/jobs", json={"kind": "profile", "spec": {"runtime": "tflite"}}))
    assert answer.code == ErrorCode.RUNTIME_UNAVAILABLE
    assert "litert only" in answer.detail


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

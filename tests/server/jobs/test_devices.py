"""Which device a benchmark runs on, with an accelerator that a test distribution brings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.codes import ErrorCode
from contract.devices import DeviceStep, Selection
from contract.info import RuntimeList
from contract.jobs import JobState
from contract.results import BenchmarkResult
from server.runtimes import ENTRY_POINTS
from tests.agents import RunningAgent, running_agent
from tests.images import digit
from tests.server.jobs.running import benchmark, run, submit, wait_until_ended
from tests.server.test_classify import problem

PLUG_IN = Path(__file__).parent.parent / "plug_in"
COMPILE_S = 2.0


@contextmanager
def agent_with_fake_gpu(folder: Path, **variables: str) -> Iterator[RunningAgent]:
    """An agent that finds the fake runtime as it would find any installed one: by its entry point."""
    described = folder / "fake_accelerator-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-accelerator\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nfake = fake_accelerator:create\n")
    path = f"{folder}:{PLUG_IN}"
    with running_agent(folder / "data", "--workers", "1", variables={"PYTHONPATH": path, **variables}) as agent:
        yield agent


def measured(agent: RunningAgent, **spec: object) -> tuple[BenchmarkResult, Selection]:
    job, result = run(agent, benchmark(**spec))
    assert job.state is JobState.SUCCEEDED, job.error
    assert isinstance(result, BenchmarkResult)
    assert result.selection is not None
    return result, result.selection


def steps(selection: Selection) -> list[tuple[DeviceStep, str, str]]:
    return [(event.step, event.runtime, event.device) for event in selection.events]


STARTED = (DeviceStep.STARTED, "litert", "CPU")
COMPILING = (DeviceStep.COMPILING, "fake", "GPU")


def test_auto_starts_on_the_processor_and_hands_over(tmp_path: Path) -> None:
    """The first inference does not wait for the accelerator, and everything timed ran on it."""
    with agent_with_fake_gpu(tmp_path, FAKE_COMPILE_S=str(COMPILE_S)) as agent:
        result, selection = measured(agent, iterations=300, streams=2)
    assert (result.device, result.runtime, result.precision) == ("GPU", "fake", "f16")
    assert set(steps(selection)) == {STARTED, COMPILING, (DeviceStep.HANDED_OVER, "fake", "GPU")}
    moments = {event.step: event.at_s for event in selection.events}
    assert moments[DeviceStep.STARTED] < moments[DeviceStep.HANDED_OVER]
    assert result.first_inference_latency_ms < COMPILE_S * 1e3 <= moments[DeviceStep.HANDED_OVER] * 1e3
    assert selection.iterations == {"fake GPU": 300}
    assert selection.reason.startswith("fake on GPU")


def test_an_accelerator_that_is_lost_costs_no_inference(tmp_path: Path) -> None:
    """Each of two streams comes back to the CPU; every iteration is counted where it ran."""
    with agent_with_fake_gpu(tmp_path, FAKE_INFERENCES="20000") as agent:
        result, selection = measured(agent, iterations=100_000, streams=2)
    assert result.device == "GPU,CPU"
    assert result.runtime == "litert"
    lost = [event for event in selection.events if event.step is DeviceStep.LOST]
    assert [event.detail for event in lost] == ["the fake GPU fell off its bus"]
    assert 0 < selection.iterations["fake GPU"] <= 40_000
    assert sum(selection.iterations.values()) == result.iterations == 100_000


VARIANTS: list[tuple[Mapping[str, str], str]] = [
    ({"FAKE_COMPILE": "fails"}, "the fake driver has no memory left"),
    ({"FAKE_RESULTS": "wrong"}, "differs by"),
]


@pytest.mark.parametrize(("variables", "reason"), VARIANTS)
def test_an_accelerator_that_does_not_do_the_work_is_not_reported(
    tmp_path: Path, variables: dict[str, str], reason: str
) -> None:
    """One that cannot compile, or computes something else, leaves the result to the CPU and says why."""
    with agent_with_fake_gpu(tmp_path, **variables) as agent:
        result, selection = measured(agent, iterations=50)
    assert (result.device, result.runtime) == ("CPU", "litert")
    rejected = [event for event in selection.events if event.step is DeviceStep.REJECTED]
    assert len(rejected) == 1
    assert reason in (rejected[0].detail or "")


def test_a_device_that_is_named_is_used_or_nothing(tmp_path: Path) -> None:
    """Nobody who asks for the GPU gets the figures of a CPU."""
    with agent_with_fake_gpu(tmp_path, FAKE_COMPILE="fails") as agent, agent.http() as http:
        job = wait_until_ended(http, submit(http, benchmark(device="GPU")).id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.detail == "fake: the fake driver has no memory left"


def test_what_was_not_chosen_is_said_with_its_reason(tmp_path: Path) -> None:
    """Devices that are not there, runtimes that do not read the model, and where somebody can look it up."""
    with agent_with_fake_gpu(tmp_path) as agent:
        _, selection = measured(agent, iterations=5)
        reasons = {(each.runtime, each.device): each.reason for each in selection.rejected}
        listed = RuntimeList.model_validate_json(agent.get("/v1/runtimes").content)
        with agent.http() as http:
            refused = problem(http.post("/v1/jobs", json=benchmark(device="NPU")))
            split = problem(http.post("/v1/jobs", json=benchmark(device="HETERO:GPU,CPU")))
    assert reasons["fake", "NPU"] == "no fake NPU was made"
    (fake,) = [runtime for runtime in listed.runtimes if runtime.name == "fake"]
    assert [device.name for device in fake.devices or []] == ["GPU", "NPU"]
    assert refused.code == split.code == ErrorCode.DEVICE_UNAVAILABLE
    assert "no fake NPU was made" in refused.detail
    assert "libOpenCL" in split.detail or "openvino" in split.detail


def test_a_runtime_that_is_named_is_asked_alone(tmp_path: Path) -> None:
    """AUTO within one runtime considers nothing else."""
    with agent_with_fake_gpu(tmp_path) as agent:
        result, selection = measured(agent, runtime="litert", iterations=5)
    assert (result.device, result.runtime) == ("CPU", "litert")
    assert {each.runtime for each in selection.rejected} == {"litert"}


def test_images_fall_back_to_the_processor_too(tmp_path: Path) -> None:
    """An agent that serves on an accelerator says which device answered, before and after it is lost."""
    fake = {"FAKE_INFERENCES": "3", "FAKE_CPU": "yes", "EDGERUN_RUNTIME": "fake", "EDGERUN_DEVICE": "auto"}
    with agent_with_fake_gpu(tmp_path, **fake) as agent:
        replies = [agent.post("/v1/classify", digit(3)).json() for _ in range(5)]
    assert [reply["predictions"][0]["label"] for reply in replies] == ["3"] * 5
    devices = [reply["runtime"]["device"] for reply in replies]
    assert devices[0] == "GPU"
    assert devices[-1] == "CPU"


def test_an_agent_for_a_device_that_is_not_there_does_not_start(tmp_path: Path) -> None:
    """It says why, instead of serving from the CPU in silence."""
    complaint = "EDGETPU cannot be used here: litert EDGETPU"
    with pytest.raises(AssertionError, match=complaint), running_agent(tmp_path, "--device", "EDGETPU"):
        pass

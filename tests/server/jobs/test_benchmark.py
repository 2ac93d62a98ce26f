"""Benchmark jobs: phases apart, samples kept, batches said to be what they were."""

import hashlib
import statistics
from pathlib import Path

import numpy as np
import pytest

from contract.codes import ErrorCode
from contract.jobs import JobState
from contract.results import BatchMode, BenchmarkResult
from contract.specs import BenchmarkSpec, Hint
from contract.telemetry import Telemetry
from contract.validity import CheckCode, Verdict
from server.jobs.host.frames import in_batches
from server.jobs.kinds.benchmark import threads_and_streams
from server.runtimes import open_runtime
from server.runtimes.base import LoadOptions, tflite_files
from server.tflite.patch import unpin_batch
from tests.agents import RunningAgent, running_agent
from tests.conftest import TFLITE_RUNTIMES, SuppliedModel
from tests.images import digit
from tests.server.jobs.running import benchmark, run, submit, wait_until_ended, wait_until_it_runs
from tests.server.telemetry.trees import raspberry_pi_4
from tests.server.test_classify import problem
from tests.server.test_models import put_blob, put_model
from tests.tflite import constant_model


def measured(agent: RunningAgent, **spec: object) -> BenchmarkResult:
    job, result = run(agent, benchmark(**spec))
    assert job.state is JobState.SUCCEEDED, job.error
    assert isinstance(result, BenchmarkResult)
    return result


@pytest.mark.parametrize("runtime", TFLITE_RUNTIMES)
def test_the_figures_of_a_benchmark_agree_with_each_other(worker_agent: RunningAgent, runtime: str) -> None:
    """Frames are iterations x batch, fps is frames a second, the summary is that of the samples."""
    found = measured(worker_agent, runtime=runtime, iterations=200, batch=3, warm_up_iterations=7)
    assert (found.runtime, found.iterations, found.frames, found.complete) == (runtime, 200, 600, True)
    assert len(found.samples_ms) == 200
    assert len(found.warm_up_ms) == 7
    assert found.latency is not None
    assert found.latency.p50_ms == pytest.approx(statistics.median(found.samples_ms))
    assert found.latency.p99_ms is None
    assert found.fps == pytest.approx(600 / found.duration_s)
    assert sum(found.samples_ms) / 1e3 <= found.duration_s * 1.001
    assert sum(window.iterations for window in found.windows) == 200
    assert found.first_inference_latency_ms == found.load_ms + found.first_inference_ms
    assert found.probe is not None
    assert found.probe.after_ms is not None
    assert found.conditions.agent_version


def test_a_benchmark_of_a_duration_lasts_that_long(worker_agent: RunningAgent) -> None:
    """And its windows follow one another."""
    found = measured(worker_agent, duration_s=1.2, window_s=0.3)
    assert 1.2 <= found.duration_s < 1.5
    assert [window.start_s for window in found.windows[1:]] == [window.end_s for window in found.windows[:-1]]
    assert 3 <= len(found.windows) <= 5


def test_images_are_measured_and_their_classes_shown(worker_agent: RunningAgent) -> None:
    """The model saw what it should: the first picture's class is the right one."""
    with worker_agent.http() as http:
        digests = [put_blob(http, digit(number)) for number in (4, 7)]
    found = measured(worker_agent, iterations=5, batch=2, input={"kind": "images", "digests": digests})
    assert (found.predictions[0].label, len(found.predictions)) == ("4", 3)


def test_telemetry_runs_beside_and_knows_the_phases(worker_agent: RunningAgent) -> None:
    """The phases of the job are marked on the recording, the timed one as long as it was."""
    with worker_agent.http() as http:
        request = {**benchmark(duration_s=1.0), "telemetry_interval_s": 0.1}
        job = wait_until_ended(http, submit(http, request).id)
        recorded = Telemetry.model_validate_json(http.get(f"/v1/jobs/{job.id}/telemetry").content)
        table = http.get(f"/v1/jobs/{job.id}/telemetry?format=csv").text.splitlines()
    assert [phase.name for phase in recorded.phases] == ["idle", "load", "warm-up", "timed", "cool-down"]
    timed = next(phase for phase in recorded.phases if phase.name == "timed")
    assert timed.end_s is not None
    assert 1.0 <= timed.end_s - timed.start_s < 1.5
    assert len(table) == len(recorded.t_s) + 1
    busy = [value for value in recorded.series["job_cpu_seconds_total"] if value is not None]
    assert busy[-1] - busy[0] > 0.5


def test_classification_waits_while_a_benchmark_runs(worker_agent: RunningAgent) -> None:
    """503 with Retry-After, so that numbers are never mixed; models are not tried either."""
    with worker_agent.http() as http:
        job = submit(http, benchmark(duration_s=30))
        wait_until_it_runs(http, job.id, "timed")
        refused = http.post("/v1/classify", content=digit(1))
        assert problem(refused).code == ErrorCode.MEASURING
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        assert problem(put_model(http, "new", constant_model())).code == ErrorCode.MEASURING
        http.post(f"/v1/jobs/{job.id}/cancel")
        wait_until_ended(http, job.id)
        assert http.post("/v1/classify", content=digit(1)).status_code == 200


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"model": "nothing"}, ErrorCode.UNKNOWN_MODEL),
        ({"runtime": "tensorrt"}, ErrorCode.RUNTIME_UNAVAILABLE),
        ({"input": {"kind": "images", "digests": ["sha256:" + "0" * 64]}}, ErrorCode.UNKNOWN_BLOB),
        ({"iterations": 5, "duration_s": 5}, ErrorCode.INVALID_REQUEST),
        ({"batch": 0}, ErrorCode.INVALID_REQUEST),
        ({"device": "NPU"}, ErrorCode.DEVICE_UNAVAILABLE),
        ({"device": "a GPU"}, ErrorCode.INVALID_REQUEST),
        ({"frobnicate": 1}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(
    worker_agent: RunningAgent, spec: dict[str, object], code: ErrorCode
) -> None:
    """Nobody waits in a queue to learn of a misspelt name."""
    with worker_agent.http() as http:
        assert problem(http.post("/v1/jobs", json=benchmark(**spec))).code == code


def test_a_image_that_cannot_be_read_fails_the_job_and_says_which(worker_agent: RunningAgent) -> None:
    """With the picture's digest."""
    content = b"not a picture"
    with worker_agent.http() as http:
        digest = put_blob(http, content)
        job = submit(http, benchmark(input={"kind": "images", "digests": [digest]}))
        job = wait_until_ended(http, job.id)
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert hashlib.sha256(content).hexdigest() in job.error.detail
        assert problem(http.get(f"/v1/jobs/{job.id}/result")).code == ErrorCode.NO_RESULT


def test_a_model_that_is_no_classifier_is_measured_with_noise(worker_agent: RunningAgent) -> None:
    """It has no classes to show."""
    with worker_agent.http() as http:
        assert put_model(http, "vector", constant_model()).status_code in (200, 201)
    found = measured(worker_agent, model="vector", iterations=20)
    assert (found.iterations, found.predictions) == (20, [])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, (1, 1)),
        ({"hint": "latency"}, (4, 1)),
        ({"hint": "throughput"}, (1, 4)),
        ({"hint": "throughput", "threads": 2}, (2, 2)),
        ({"hint": "latency", "threads": 2}, (2, 1)),
        ({"streams": 3}, (1, 3)),
    ],
)
def test_threads_and_streams_follow_from_the_hint(spec: dict[str, object], expected: tuple[int, int]) -> None:
    """Unless they are given."""
    assert threads_and_streams(BenchmarkSpec.model_validate(spec), 4) == expected


def test_streams_run_at_the_same_time(worker_agent: RunningAgent) -> None:
    """The throughput hint uses an interpreter a core, and every iteration is counted once."""
    found = measured(worker_agent, hint=Hint.THROUGHPUT, iterations=300)
    assert (found.iterations, len(found.samples_ms)) == (300, 300)
    assert found.streams >= 1


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (1, 4), (3, 2), (4, 2), (5, 10)])
def test_batches_go_through_all_frames_in_turn(count: int, batch: int) -> None:
    """None is left out, none is used more often than another."""
    frames = [[np.array([number])] for number in range(count)]
    groups = in_batches(frames, batch)
    used = [int(frame[0][0]) for group in groups for frame in group]
    assert {len(group) for group in groups} == {batch}
    assert used == [place % count for place in range(len(groups) * batch)]
    assert len(used) % count == 0


@pytest.mark.parametrize("runtime", TFLITE_RUNTIMES)
def test_a_batch_that_the_graph_pins_is_freed(mobilenet: SuppliedModel, runtime: str) -> None:
    """Each row of a batch of the changed model is what the frame gives alone."""
    content = mobilenet.model_path.read_bytes()
    freed = unpin_batch(content)
    assert freed is not None
    assert len(freed) == len(content)
    opened = open_runtime(runtime, delegates=True)
    source = np.random.default_rng(1).integers(0, 255, (3, 224, 224, 3), np.uint8)
    together = opened.load(tflite_files(freed), LoadOptions(batch=3)).invoke(source)[0]
    alone = opened.load(tflite_files(content), LoadOptions())
    for row in range(3):
        difference = together[row].astype(int) - alone.invoke(source[row : row + 1])[0][0].astype(int)
        assert np.abs(difference).max() <= 4


def test_the_supplied_model_runs_in_batches_and_says_how(
    tmp_path_factory: pytest.TempPathFactory, mobilenet: SuppliedModel
) -> None:
    """Its last RESHAPE pins one frame; the result names the change."""
    with running_agent(tmp_path_factory.mktemp("batches"), "--workers", "1") as agent:
        with agent.http() as http:
            preprocessing = {"input_range": [-1.0, 0.9921875]}
            put_model(http, "mobilenet", mobilenet.model_path.read_bytes(), preprocessing=preprocessing)
            digest = put_blob(http, mobilenet.parrot)
        images = {"kind": "images", "digests": [digest]}
        found = measured(agent, model="mobilenet", batch=10, iterations=10, input=images)
        assert (found.batch_mode, found.frames) == (BatchMode.PATCHED, 100)
        assert "RESHAPE" in (found.batch_detail or "")
        assert found.predictions[0].index == 89  # macaw


def test_a_board_that_throttles_makes_the_measurement_unreliable(tmp_path: Path) -> None:
    """The firmware's flag, seen while the job runs, is a reason; the same board without it is not blamed."""
    tree = raspberry_pi_4(tmp_path / "pi4")
    flags = next(tree.rglob("get_throttled"))
    options = ("--workers", "1", "--sensors-root", str(tree))
    with running_agent(tmp_path / "data", *options) as agent:
        for value, blamed in (("0", False), ("4", True)):  # bit 2: throttled now
            flags.write_text(f"{value}\n")
            found = measured(agent, duration_s=3)
            codes = [reason.code for reason in found.validity.reasons]
            assert (CheckCode.THROTTLE_FLAG in codes) == blamed
        assert found.validity.verdict is Verdict.UNRELIABLE
        assert found.conditions.cpu_temperature_before_celsius is not None

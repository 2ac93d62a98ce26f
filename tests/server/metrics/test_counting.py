"""What is counted of requests, by itself."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect

from contract.codes import ErrorCode
from server.errors import AgentError
from server.metrics.durations import BUCKETS_S, Durations
from server.metrics.families import MODELS_MAX, OTHERS, _with_others
from server.metrics.inferences import InferenceLog, ModelRecord, Total
from server.metrics.requests import OTHER, RequestLog

STAGES = {
    "queue": 1.0,
    "load": None,
    "decode": 2.0,
    "preprocess": 0.5,
    "inference": 4.0,
    "postprocess": 0.25,
    "total": 9,
}


def log_of(*held: str) -> InferenceLog:
    return InferenceLog(lambda name: name in held)


def test_requests_inferences_and_executions_are_apart() -> None:
    """A batch of eight that runs together is one request, eight inferences and one execution."""
    log = log_of("digits")
    with log.request("digits", "tensor") as counted:
        counted.executed("litert", STAGES, batch_size=8)
    (record,) = log.records()
    executions = record.runtimes["litert"]
    assert (sum(record.outcomes.values()), executions.inferences, executions.executions) == (1, 8, 1)


def test_the_stages_are_summed_as_the_protocol_wants_them() -> None:
    """Queue, input, inference and output, in nanoseconds; the total and stages that were not needed are in none."""
    log = log_of("digits")
    for runtime in ("litert", "tflite"):
        with log.request("digits", "classification") as counted:
            counted.arrived(waited_ns=2_000_000)
            counted.executed(runtime, {**STAGES, "load": 100.0})
    found = log.statistics("digits")
    assert (found.inference_count, found.execution_count) == (2, 2)
    assert found.queue == Total(2, 2_000_000)
    assert found.compute_input == Total(2, 5_000_000)
    assert found.compute_infer == Total(2, 8_000_000)
    assert found.compute_output == Total(2, 500_000)
    assert found.success.count == 2
    assert found.success.ns >= 4_000_000  # with the wait in the queue
    assert found.fail == Total(0, 0)
    assert found.last_inference_ms > 1_700_000_000_000
    assert log.statistics("another").success == Total(0, 0)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (AgentError(ErrorCode.QUEUE_FULL, "1024 requests wait already"), "queue_full"),
        (ClientDisconnect(), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (ZeroDivisionError(), "internal_error"),
    ],
)
def test_a_request_that_fails_is_counted_by_its_code(error: BaseException, outcome: str) -> None:
    """And goes on being raised; its time counts as time of failures."""
    log = log_of("digits")
    with pytest.raises(type(error)), log.request("digits", "classification") as counted:
        counted.arrived(waited_ns=1_000)
        raise error
    (record,) = log.records()
    assert record.outcomes == {outcome: 1}
    assert log.statistics("digits").fail.count == 1
    assert log.statistics("digits").fail.ns >= 1_000


def test_some_of_several_pictures_may_fail() -> None:
    """All answered is a success, none is the first one's error, anything between is partial."""
    log = log_of("digits")
    for done, failed in ((2, 0), (1, 1), (0, 2)):
        with log.request("digits", "classification") as counted:
            for _ in range(done):
                counted.executed("litert", STAGES)
            for _ in range(failed):
                counted.part_failed(ErrorCode.NOT_AN_IMAGE)
    (record,) = log.records()
    assert record.outcomes == {"success": 1, "partial": 1, "not_an_image": 1}
    assert record.answered.count == 2


def test_models_that_are_gone_leave_nothing() -> None:
    """However many names come and go: no memory is kept, and none of them is shown."""
    held: set[str] = set()
    log = InferenceLog(held.__contains__)
    for number in range(10_000):
        held.clear()
        held.add(f"model-{number}")
        with log.request(f"model-{number}", "classification") as counted:
            counted.executed("litert", STAGES)
    assert len(log._records) == 1
    held.clear()
    assert list(log.records()) == []


def test_models_beyond_the_limit_count_together() -> None:
    """The number of series is bounded, and no request is lost."""
    records = []
    for number in range(MODELS_MAX + 50):
        record = ModelRecord(f"model-{number:03}", "classification")
        record.outcomes["success"] += 2
        records.append(record)
    shown = _with_others(records)
    assert len(shown) == MODELS_MAX + 1
    assert shown[-1].model == OTHERS
    assert shown[-1].outcomes["success"] == 100


def test_a_duration_falls_into_the_bucket_it_ends_in() -> None:
    """Upper ends belong to their bucket; what takes longer than all is counted too."""
    durations = Durations()
    for end_s in (0.0, *BUCKETS_S, 100.0):
        durations.observe(round(end_s * 1e9))
    assert durations.counts == [2, *[1] * len(BUCKETS_S)]
    assert durations.count == len(BUCKETS_S) + 2


@pytest.fixture
def requests() -> RequestLog:
    log = RequestLog()
    for template, methods in (
        ("/v1/models", ["GET"]),
        ("/v1/models/{name}", ["GET", "PUT"]),
        ("/{rest:path}.js", ["GET"]),
    ):
        log.add_route(template, methods)
    log.add_route("/v1/models/{name}", ["DELETE"])
    return log


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/v1/models", ("GET", "/v1/models")),
        ("DELETE", "/v1/models/digits", ("DELETE", "/v1/models/{name}")),
        ("GET", "/v1/models/a\nb", ("GET", "/v1/models/{name}")),
        ("PATCH", "/v1/models/digits", (OTHER, "/v1/models/{name}")),
        ("GET", "/v1/models/digits/", (OTHER, OTHER)),
        ("GET", "/v1/models/{name}", ("GET", "/v1/models/{name}")),
        ("GET", "/a/b.js", ("GET", "/{rest:path}.js")),
        ("PROPFIND", "/", (OTHER, OTHER)),
        ("GET", "", (OTHER, OTHER)),
    ],
)
def test_a_path_counts_under_its_template(
    requests: RequestLog, method: str, path: str, labels: tuple[str, str]
) -> None:
    """Nothing that a client wrote becomes a label."""
    requests.observe(method, path, 200, 5)
    assert requests.answers == {(*labels, 200): 1}


def test_errors_do_not_make_an_agent_look_quick(requests: RequestLog) -> None:
    """Durations are those of answers that are no errors."""
    requests.observe("GET", "/v1/models", 401, 5)
    assert requests.durations == {}
    requests.observe("GET", "/v1/models", 304, 5)
    assert requests.durations["GET", "/v1/models"].count == 1


def test_adding_a_record_leaves_it_as_it_was() -> None:
    """Sums for display do not change what is counted."""
    log = log_of("digits")
    with log.request("digits", "tensor") as counted:
        counted.executed("litert", STAGES)
    (counted_one,) = log.records()
    added = ModelRecord("others", "tensor")
    added.add(counted_one)
    added.add(counted_one)
    assert counted_one.runtimes["litert"].stages["queue"].count == 1
    assert added.runtimes["litert"].stages["queue"].count == 2

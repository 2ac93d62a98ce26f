"""Pictures over HTTP: answers, stages, and every error by its code."""

import os
import struct
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from contract.classify import BatchReply, ClassifyReply
from contract.codes import ErrorCode
from contract.errors import PROBLEM_MEDIA_TYPE, Problem
from tests.agents import RunningAgent
from tests.conftest import TFLITE_RUNTIMES
from tests.images import digit, encoded, gradient, huge_png

CLASSIFY = "/v1/classify"


def problem(response: httpx.Response) -> Problem:
    assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE
    found = Problem.model_validate_json(response.content)
    assert found.status == response.status_code
    assert found.request_id == response.headers["x-request-id"]
    return found


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("runtime", TFLITE_RUNTIMES)
def test_sample_digits_are_read(agent: RunningAgent, number: int, runtime: str) -> None:
    """Each sample picture gets its digit, from each installed runtime, which the reply names."""
    reply = ClassifyReply.model_validate_json(agent.post(f"{CLASSIFY}?runtime={runtime}", digit(number)).content)
    assert reply.predictions[0].label == str(number)
    assert (reply.runtime.name, reply.model.name) == (runtime, "digits")


def test_a_reply_says_what_happened(agent: RunningAgent) -> None:
    """Stage times add up, the picture is described, scores are probabilities."""
    response = agent.post(f"{CLASSIFY}?top_k=10", digit(3))
    reply = ClassifyReply.model_validate_json(response.content)
    times = reply.timing_ms
    stages = (times.queue, times.decode, times.preprocess, times.inference, times.postprocess)
    assert all(stage >= 0 for stage in stages)
    assert sum(stages) + (times.load or 0) <= times.total + 0.1
    assert (reply.image.format, reply.image.width, reply.image.decode) == ("PNG", 128, "full")
    assert abs(sum(prediction.score for prediction in reply.predictions) - 1) < 0.02
    assert [p.score for p in reply.predictions] == sorted((p.score for p in reply.predictions), reverse=True)
    header = dict(part.split(";dur=") for part in response.headers["server-timing"].split(", "))
    assert float(header["inference"]) == pytest.approx(times.inference)
    assert float(header["total"]) == pytest.approx(times.total)


def test_a_lone_request_may_use_all_cores_and_says_so(agent: RunningAgent) -> None:
    """Threads follow from what else is in flight, and are in the reply."""
    reply = ClassifyReply.model_validate_json(agent.post(CLASSIFY, digit(1)).content)
    assert reply.runtime.threads == len(os.sched_getaffinity(0))


def test_jpeg_decoding_is_reduced_unless_exact(agent: RunningAgent) -> None:
    """The reply says when a JPEG was decoded at a fraction of its size, and decode=exact prevents it."""
    data = encoded(gradient(800, 600), "JPEG")
    fast = ClassifyReply.model_validate_json(agent.post(CLASSIFY, data).content).image
    exact = ClassifyReply.model_validate_json(agent.post(f"{CLASSIFY}?decode=exact", data).content).image
    assert (fast.decode, fast.decoded_width) == ("reduced", 100)
    assert (exact.decode, exact.decoded_width) == ("full", 800)


def test_several_images_in_one_request(agent: RunningAgent) -> None:
    """Multipart answers each part in order; a bad one does not spoil the others."""
    files = [("image", (f"{n}.png", digit(n))) for n in (7, 2)] + [("image", ("no.png", b"no picture"))]
    with agent.http() as http:
        reply = BatchReply.model_validate_json(http.post(CLASSIFY, files=files).content)
    assert [part.name for part in reply.results] == ["7.png", "2.png", "no.png"]
    labels = [part.result.predictions[0].label for part in reply.results if part.result]
    assert labels == ["7", "2"]
    assert reply.results[2].problem is not None
    assert reply.results[2].problem.code == ErrorCode.NOT_AN_IMAGE


def test_a_named_model_and_the_default_answer_alike(agent: RunningAgent) -> None:
    """/v1/models/digits/classify is /v1/classify where digits is the default."""
    replies = [agent.post(path, digit(5)).json() for path in (CLASSIFY, "/v1/models/digits/classify")]
    assert replies[0]["predictions"] == replies[1]["predictions"]


TRUNCATED_JPEG = encoded(gradient(300, 200), "JPEG")[:2000]

ERRORS = [
    ("", b"", 400, ErrorCode.EMPTY_BODY),
    ("", b"this is no picture", 415, ErrorCode.NOT_AN_IMAGE),
    ("", TRUNCATED_JPEG, 400, ErrorCode.TRUNCATED_IMAGE),
    ("", huge_png(), 413, ErrorCode.TOO_MANY_PIXELS),
    ("", bytes(11 << 20), 413, ErrorCode.TOO_MANY_BYTES),
    ("?top_k=0", digit(1), 422, ErrorCode.INVALID_REQUEST),
    ("?top_k=many", digit(1), 422, ErrorCode.INVALID_REQUEST),
    ("?topk=3", digit(1), 422, ErrorCode.INVALID_REQUEST),
    ("?decode=quick", digit(1), 422, ErrorCode.INVALID_REQUEST),
    ("?runtime=magic", digit(1), 422, ErrorCode.RUNTIME_UNAVAILABLE),
    ("?quant=legacy_sample", digit(1), 422, ErrorCode.INVALID_REQUEST),
]


@pytest.mark.parametrize(("query", "body", "status", "code"), ERRORS)
def test_errors_have_status_code_and_hint(
    agent: RunningAgent, query: str, body: bytes, status: int, code: ErrorCode
) -> None:
    """Wrong requests are answered with problem+json, and the agent goes on."""
    response = agent.post(CLASSIFY + query, body)
    found = problem(response)
    assert (response.status_code, found.code) == (status, code)
    assert found.hint or code is ErrorCode.INVALID_REQUEST or code is ErrorCode.TOO_MANY_BYTES
    assert agent.post(CLASSIFY, digit(1)).status_code == 200


def test_an_unknown_model_is_named_and_known_ones_are_listed(agent: RunningAgent) -> None:
    """404 says what there is instead."""
    found = problem(agent.post("/v1/models/nosuch/classify", digit(1)))
    assert (found.status, found.code) == (404, ErrorCode.UNKNOWN_MODEL)
    assert "digits" in found.detail


def test_a_body_without_end_is_cut_off_at_the_limit(agent: RunningAgent) -> None:
    """Bytes are counted while they arrive, also when no length was announced."""

    def endless() -> object:
        for _ in range(20):
            yield bytes(1 << 20)

    with agent.http() as http:
        response = http.post(CLASSIFY, content=endless())  # type: ignore[arg-type]
    assert problem(response).code == ErrorCode.TOO_MANY_BYTES


def test_too_many_images_in_one_request(agent: RunningAgent) -> None:
    """The number of parts is limited."""
    files = [("image", (f"{n}.png", digit(1))) for n in range(40)]
    with agent.http() as http:
        found = problem(http.post(CLASSIFY, files=files))
    assert (found.status, found.code) == (413, ErrorCode.TOO_MANY_IMAGES)


@pytest.mark.parametrize("body", [b"", b"--x\r\n\r\nno header", b"--x--\r\n"])
def test_broken_multipart_is_an_error_of_the_sender(agent: RunningAgent, body: bytes) -> None:
    """What cannot be parsed is answered with 400 or 422."""
    response = agent.post(CLASSIFY, body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert problem(response).code in (ErrorCode.INVALID_REQUEST, ErrorCode.EMPTY_BODY)


def test_multipart_without_a_boundary(agent: RunningAgent) -> None:
    """A form without boundary is answered, not failed on."""
    response = agent.post(CLASSIFY, b"x", headers={"content-type": "multipart/form-data"})
    assert problem(response).code == ErrorCode.INVALID_REQUEST


def test_unknown_paths_and_methods(agent: RunningAgent) -> None:
    """404 and 405 are problems too."""
    assert problem(agent.get("/nothing")).code == ErrorCode.NOT_FOUND
    response = agent.get(CLASSIFY)
    assert problem(response).code == ErrorCode.METHOD_NOT_ALLOWED
    assert response.headers["allow"] == "POST"


def test_a_given_request_id_comes_back(agent: RunningAgent) -> None:
    """A well-formed id is kept, another one replaced."""
    kept = agent.post(CLASSIFY, digit(1), headers={"x-request-id": "my-request_1"})
    assert kept.headers["x-request-id"] == kept.json()["request_id"] == "my-request_1"
    assert agent.post(CLASSIFY, digit(1), headers={"x-request-id": "a b"}).headers["x-request-id"] != "a b"


def test_many_at_once_get_their_own_answers(agent: RunningAgent) -> None:
    """Concurrent requests are not mixed up."""
    numbers = [n % 10 for n in range(120)]
    with agent.http() as http, ThreadPoolExecutor(12) as threads:
        replies = list(threads.map(lambda n: http.post(CLASSIFY, content=digit(n)).json(), numbers))
    assert [reply["predictions"][0]["label"] for reply in replies] == [str(n) for n in numbers]


def test_an_impossible_jpeg_header_is_no_crash(agent: RunningAgent) -> None:
    """A JPEG that declares 65 535 x 65 535 pixels is refused by its header."""
    data = bytearray(encoded(gradient(64, 64), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65535, 65535)
    assert problem(agent.post(CLASSIFY, bytes(data))).code == ErrorCode.TOO_MANY_PIXELS


def test_the_schema_describes_every_route(agent: RunningAgent) -> None:
    """OpenAPI lists the paths with unique operation ids, binary bodies and problem answers."""
    schema = agent.get("/openapi.json").json()
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    identifiers = [operation["operationId"] for operation in operations]
    assert len(identifiers) == len(set(identifiers))
    classify = schema["paths"][CLASSIFY]["post"]
    assert set(classify["requestBody"]["content"]) >= {"image/jpeg", "image/png", "image/webp", "multipart/form-data"}
    assert {parameter["name"] for parameter in classify["parameters"]} == {"top_k", "runtime", "decode", "quant"}
    assert PROBLEM_MEDIA_TYPE in classify["responses"]["415"]["content"]
    assert agent.get("/docs").status_code == 404

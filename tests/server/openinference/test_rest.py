"""The protocol over REST: metadata, inference, repository, configuration, statistics, and errors in its own shape."""

import base64
import gzip
import json
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from contract.codes import ErrorCode
from contract.openinference import ModelConfig, ModelMetadata, ProtocolError, StatisticsReply
from contract.paths import INFERENCE_HEADER_LENGTH
from tests.agents import TOKEN, RunningAgent
from tests.images import digit, encoded, gradient
from tests.server.openinference.bodies import binary, body, described, read_reply
from tests.server.openinference.conftest import ARITHMETIC, DIGITS, TOTAL, Served

A = np.array([[1, 2, -3]], np.float32)
B = np.array([[0.5, 0.25, 4]], np.float32)


def infer(
    served: Served, model: str, content: bytes, header_bytes: int | None = None, **headers: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if header_bytes is not None:
        headers[INFERENCE_HEADER_LENGTH] = str(header_bytes)
    response = served.agent.post(
        f"/v2/models/{model}/infer", content, headers={"Accept-Encoding": "identity", **headers}
    )
    assert response.status_code == 200, response.text
    length = response.headers.get(INFERENCE_HEADER_LENGTH)
    assert response.headers["content-type"] == ("application/json" if length is None else "application/octet-stream")
    return read_reply(response.content, int(length) if length else None)


def refused(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    assert response.headers["edgerun-code"] in list(ErrorCode)
    assert set(response.json()) == {"error"}
    return ProtocolError.model_validate_json(response.content).error


def test_server_and_models_describe_themselves(served: Served) -> None:
    """Health, extensions, datatypes and shapes, with and without the version."""
    agent = served.agent
    assert agent.get("/v2/health/live").json() == {"live": True}
    assert agent.get("/v2/health/ready").json() == {"ready": True}
    assert {"binary_tensor_data", "classification", "statistics"} <= set(agent.get("/v2").json()["extensions"])
    assert agent.get(f"/v2/models/{ARITHMETIC}/versions/1/ready").json() == {"name": ARITHMETIC, "ready": True}
    found = ModelMetadata.model_validate_json(agent.get(f"/v2/models/{ARITHMETIC}").content)
    assert found.platform == "onnx_onnxv1"
    assert [(each.name, each.datatype, each.shape) for each in found.inputs] == [
        ("a", "FP32", [-1, 3]),
        ("b", "FP32", [-1, 3]),
    ]
    assert [(each.name, each.datatype) for each in found.outputs][2] == ("positive", "BOOL")
    config = ModelConfig.model_validate_json(agent.get(f"/v2/models/{ARITHMETIC}/config").content)
    assert (config.max_batch_size, config.input[0].data_type, config.input[0].dims) == (64, "TYPE_FP32", [3])
    assert agent.get(f"/v2/models/{TOTAL}").json()["inputs"][0]["shape"] == [4]
    assert agent.get(f"/v2/models/{TOTAL}/config").json()["max_batch_size"] == 0


def test_tensors_in_json_and_in_binary_give_the_same(served: Served) -> None:
    """Two inputs, four outputs of two datatypes, each as it was asked for."""
    _, plain = infer(served, ARITHMETIC, body([described("a", A), described("b", B)])[0])
    content, size = body(
        [binary("b", B), binary("a", A)], B.tobytes(), A.tobytes(), parameters={"binary_data_output": True}
    )
    _, packed = infer(served, ARITHMETIC, content, size)
    for found in (plain, packed):
        np.testing.assert_array_equal(found["sum"], A + B)
        np.testing.assert_array_equal(found["difference"], A - B)
        np.testing.assert_array_equal(found["positive"], A > 0)


def test_a_batch_is_answered_row_by_row(served: Served) -> None:
    """As many items as the configuration says, and not one more."""
    many = np.arange(64 * 3, dtype=np.float32).reshape(64, 3)
    inputs = [binary("a", many), binary("b", many)]
    header, found = infer(served, ARITHMETIC, *body(inputs, many.tobytes() * 2, outputs=[{"name": "sum"}]))
    np.testing.assert_array_equal(found["sum"], many * 2)
    assert [output["name"] for output in header["outputs"]] == ["sum"]
    more = np.zeros((65, 3), np.float32)
    content = body([described("a", more), described("b", more)])[0]
    assert "1 to 64" in refused(served.agent.post(f"/v2/models/{ARITHMETIC}/infer", content), 400)


def test_a_model_without_batches_takes_and_gives_its_own_shapes(served: Served) -> None:
    """A scalar comes back as one."""
    header, found = infer(served, TOTAL, body([described("x", np.array([1, 2, 3, 70_000]))])[0])
    assert header["outputs"] == [{"name": "total", "datatype": "INT64", "shape": [], "data": [70_006]}]
    assert found["total"] == 70_006


@pytest.mark.parametrize("way", ["binary", "json"])
def test_an_encoded_picture_is_read_as_classify_reads_it(served: Served, way: str) -> None:
    """BYTES with a file, as OpenVINO Model Server takes it: the model gives the same scores as /v1/classify."""
    picture = digit(7)
    entry: dict[str, Any] = {"name": "image", "datatype": "BYTES", "shape": [1]}
    if way == "binary":
        packed = len(picture).to_bytes(4, "little") + picture
        content, size = body([{**entry, "parameters": {"binary_data_size": len(packed)}}], packed)
        _, found = infer(served, DIGITS, content, size)
    else:
        _, found = infer(served, DIGITS, body([{**entry, "data": [base64.b64encode(picture).decode()]}])[0])
    predictions = served.agent.post("/v1/models/digits/classify?top_k=10", picture).json()["predictions"]
    scores = (found["probabilities"][0].astype(int) + 128) / 256
    assert predictions[0]["index"] == int(scores.argmax()) == 7
    assert {each["index"]: each["score"] for each in predictions} == pytest.approx(dict(enumerate(scores)))


def test_classes_come_with_their_labels(served: Served) -> None:
    """The classification extension, from an encoded picture: what a tool needs to show a result."""
    picture = digit(3)
    packed = len(picture).to_bytes(4, "little") + picture
    entry = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(packed)}}
    wanted = [{"name": "probabilities", "parameters": {"classification": 2}}]
    header, _ = infer(served, DIGITS, *body([entry], packed, outputs=wanted))
    assert (header["outputs"][0]["datatype"], header["outputs"][0]["shape"]) == ("BYTES", [1, 2])
    assert header["outputs"][0]["data"][0].split(":")[1:] == ["3", "3"]


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_bodies_and_replies_may_be_compressed(served: Served, coding: str, pack: Any) -> None:
    """The reply only where it is long enough to be worth it."""
    many = np.zeros((64, 3), np.float32)
    content, size = body([binary("a", many), binary("b", many + 1)], many.tobytes(), (many + 1).tobytes())
    headers = {"Content-Encoding": coding, "Accept-Encoding": coding, INFERENCE_HEADER_LENGTH: str(size)}
    long = served.agent.post(f"/v2/models/{ARITHMETIC}/infer", pack(content), headers=headers)
    assert (long.status_code, long.headers["content-encoding"]) == (200, coding)
    assert len(long.json()["outputs"][0]["data"]) == 64 * 3
    content, size = body([binary("a", A), binary("b", B)], A.tobytes(), B.tobytes(), outputs=[{"name": "sum"}])
    headers[INFERENCE_HEADER_LENGTH] = str(size)
    short = served.agent.post(f"/v2/models/{ARITHMETIC}/infer", pack(content), headers=headers)
    assert "content-encoding" not in short.headers


def test_an_unloaded_model_is_there_and_does_not_answer(served: Served) -> None:
    """Under /v2: it is listed, described, and asked for in vain, until it is loaded; /v1 goes on."""
    agent, content = served.agent, body([described("x", np.arange(4))])[0]
    assert agent.post(f"/v2/repository/models/{TOTAL}/unload", b"").status_code == 200
    try:
        states = {each["name"]: each["state"] for each in agent.post("/v2/repository/index", b"").json()}
        assert (states[TOTAL], states[ARITHMETIC]) == ("UNAVAILABLE", "READY")
        ready = agent.post("/v2/repository/index", b'{"ready": true}').json()
        assert TOTAL not in [each["name"] for each in ready]
        assert agent.get(f"/v2/models/{TOTAL}/ready").status_code == 400
        assert "/load" in refused(agent.post(f"/v2/models/{TOTAL}/infer", content), 400)
        assert agent.get(f"/v1/models/{TOTAL}").status_code == 200
    finally:
        assert agent.post(f"/v2/repository/models/{TOTAL}/load", b"{}").status_code == 200
    assert agent.post(f"/v2/models/{TOTAL}/infer", content).status_code == 200
    sent = b'{"parameters": {"config": "{}"}}'
    assert "cannot be sent" in refused(agent.post(f"/v2/repository/models/{TOTAL}/load", sent), 400)
    assert "no model" in refused(agent.post("/v2/repository/models/nobody/load", b""), 404)


def test_statistics_count_requests_items_and_runs(served: Served) -> None:
    """A batch of five is one request, five inferences and one execution; a refused one is a failure."""

    def statistics(path: str = f"/v2/models/{ARITHMETIC}/stats") -> Any:
        reply = StatisticsReply.model_validate_json(served.agent.get(path).content)
        return next(each for each in reply.model_stats if each.name == ARITHMETIC)

    before = statistics()
    five = np.ones((5, 3), np.float32)
    infer(served, ARITHMETIC, body([described("a", five), described("b", five)])[0])
    served.agent.post(f"/v2/models/{ARITHMETIC}/infer", b"{}")
    after = statistics("/v2/models/stats")
    assert after.inference_count - before.inference_count == 5
    assert after.execution_count - before.execution_count == 1
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1
    assert after.inference_stats.fail.count - before.inference_stats.fail.count == 1
    stages = after.inference_stats
    parts = (stages.queue, stages.compute_input, stages.compute_infer, stages.compute_output)
    assert all(part.ns > 0 for part in parts)
    assert sum(part.ns for part in parts) <= stages.success.ns


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/v2/models/nobody", 404, "no model 'nobody'"),
        ("GET", f"/v2/models/{TOTAL}/versions/2", 404, "no version '2'"),
        ("POST", "/v2/models/nobody/infer", 404, "no model 'nobody'"),
        ("POST", f"/v2/models/{TOTAL}/versions/2/infer", 404, "no version '2'"),
        ("POST", f"/v2/models/{TOTAL}/infer", 400, "no bytes"),
        ("GET", "/v2/nothing", 404, "no resource"),
        ("DELETE", f"/v2/models/{TOTAL}", 405, "does not take DELETE"),
        ("POST", "/v2/repository/index", 422, "JSON"),
    ],
)
def test_errors_have_the_protocols_shape(served: Served, method: str, path: str, status: int, said: str) -> None:
    """`{"error": ...}` and nothing else, with the request's id as a header."""
    content = b"[" if path.endswith("index") else b""
    with served.agent.http() as http:
        assert said in refused(http.request(method, path, content=content), status)


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({INFERENCE_HEADER_LENGTH: "-1"}, 400, "is a number of bytes"),
        ({INFERENCE_HEADER_LENGTH: "9" * 50}, 400, "is a number of bytes"),
        ({INFERENCE_HEADER_LENGTH: "999"}, 400, "the whole body"),
        ({"Content-Encoding": "br"}, 415, "Content-Encoding br"),
        ({"Content-Encoding": "gzip"}, 400, "not valid gzip"),
    ],
)
def test_headers_that_do_not_fit_are_refused(served: Served, headers: dict[str, str], status: int, said: str) -> None:
    """Before the body is read where that can be told."""
    with served.agent.http() as http:
        response = http.post(f"/v2/models/{TOTAL}/infer", content=b"{}", headers=headers)
    assert said in refused(response, status)


def test_without_the_token_nothing_is_told(secured_agent: RunningAgent) -> None:
    """Liveness alone is open, as at /health/live."""
    with secured_agent.http() as http:
        http.headers.pop("authorization")
        for path in ("/v2", "/v2/health/ready", "/v2/models/digits"):
            response = http.get(path, extensions={"sni_hostname": "agent.edgerun.internal"})
            assert "token" in refused(response, 401)
        live = http.get("/v2/health/live", extensions={"sni_hostname": "agent.edgerun.internal"})
        assert live.json() == {"live": True}
    assert TOKEN not in secured_agent.log()


def test_a_picture_to_a_model_of_numbers_is_refused(served: Served) -> None:
    """And numbers of a picture's model are checked like any others."""
    picture = encoded(gradient())
    packed = len(picture).to_bytes(4, "little") + picture
    entry = {"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(packed)}}
    content, size = body([entry], packed)
    headers = {INFERENCE_HEADER_LENGTH: str(size)}
    response = served.agent.post(f"/v2/models/{TOTAL}/infer", content, headers=headers)
    assert "is INT64, not 'BYTES'" in refused(response, 400)
    entry = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["bm8gcGljdHVyZQ=="]}
    assert "picture" in refused(served.agent.post("/v2/models/digits/infer", body([entry])[0]), 415).lower()


def test_the_schema_describes_every_route(served: Served) -> None:
    """Whoever generates a client finds the protocol's errors under /v2 and problem+json elsewhere."""
    document = json.loads(served.agent.get("/openapi.json").content)
    paths = [path for path in document["paths"] if path.startswith("/v2")]
    assert len(paths) == 17
    for path in paths:
        for operation in document["paths"][path].values():
            for status in ("413", "500") if path == "/v2/health/live" else ("401", "413", "429", "500"):
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema["$ref"].endswith("/ProtocolError")

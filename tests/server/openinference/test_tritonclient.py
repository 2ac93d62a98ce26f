"""Triton's own Python clients, over HTTP and gRPC, against an agent: the same results, equal to /v1/classify."""

import math
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from contract.classify import ClassifyReply
from tests.conftest import SuppliedModel
from tests.images import digit
from tests.server.openinference.conftest import ARITHMETIC, DIGITS, MOBILENET, TOTAL, Served

A = np.array([[1, 2, -3], [4, 5, 6]], np.float32)
B = np.array([[0.5, 0.25, 4], [1, 1, 1]], np.float32)


@pytest.fixture(params=["http", "grpc"])
def triton(request: pytest.FixtureRequest, served: Served) -> Any:
    """A client, and the module that its requests are made with."""
    module = {"http": tritonclient.http, "grpc": tritonclient.grpc}[request.param]
    address = served.http_address if request.param == "http" else served.grpc_address
    client = module.InferenceServerClient(address)
    client.module = module
    yield client
    client.close()


def given(triton: Any, name: str, array: NDArray[Any], datatype: str = "FP32", **how: Any) -> Any:
    """An input with its data; `binary_data` chooses the way over HTTP, over gRPC there is one."""
    made = triton.module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, **(how if triton.module is tritonclient.http else {}))
    return made


def wanted(triton: Any, name: str, **how: Any) -> Any:
    """An output to ask for."""
    if triton.module is tritonclient.grpc:
        how.pop("binary_data", None)
    return triton.module.InferRequestedOutput(name, **how)


def test_health_and_metadata(triton: Any) -> None:
    """Everything a client asks before it infers."""
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready(ARITHMETIC)
    assert triton.is_model_ready(ARITHMETIC, "1")
    server, model, config = (
        triton.get_server_metadata(),
        triton.get_model_metadata(TOTAL),
        triton.get_model_config(TOTAL),
    )
    if triton.module is tritonclient.http:
        assert (server["name"], model["inputs"][0]["datatype"], config["max_batch_size"]) == ("edgerun", "INT64", 0)
    else:
        assert (server.name, model.inputs[0].datatype, config.config.max_batch_size) == ("edgerun", "INT64", 0)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("rows", [1, 2])
def test_tensors_go_in_and_come_out(triton: Any, binary: bool, rows: int) -> None:
    """Binary and JSON tensors, one item and a batch, all outputs and requested ones."""
    a, b = A[:rows], B[:rows]
    inputs = [given(triton, "a", a, binary_data=binary), given(triton, "b", b, binary_data=binary)]
    everything = triton.infer(ARITHMETIC, inputs, request_id="seven")
    np.testing.assert_array_equal(everything.as_numpy("sum"), a + b)
    np.testing.assert_array_equal(everything.as_numpy("positive"), a > 0)
    outputs = [wanted(triton, "difference", binary_data=binary)]
    asked = triton.infer(ARITHMETIC, inputs, model_version="1", outputs=outputs)
    np.testing.assert_array_equal(asked.as_numpy("difference"), a - b)
    assert asked.as_numpy("sum") is None
    response = everything.get_response()
    assert (response["id"] if isinstance(response, dict) else response.id) == "seven"


def test_a_lone_number_comes_out(triton: Any) -> None:
    """A tensor without dimensions."""
    reply = triton.infer(TOTAL, [given(triton, "x", np.arange(4), "INT64")])
    assert reply.as_numpy("total") == 6


def test_special_values_survive(triton: Any) -> None:
    """NaN and infinity travel as binary data both ways."""
    zero = np.zeros((1, 3), np.float32)
    reply = triton.infer(ARITHMETIC, [given(triton, "a", zero), given(triton, "b", zero)])
    assert np.isneginf(reply.as_numpy("logarithm")).all()


def test_errors_say_what_is_wrong(triton: Any) -> None:
    """With a status that the client shows."""
    with pytest.raises(InferenceServerException, match=r"input 'a' has the shape \[-1, 3\], not '1 4'") as shape:
        four = np.zeros((1, 4), np.float32)
        triton.infer(ARITHMETIC, [given(triton, "a", four), given(triton, "b", four)])
    assert shape.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
    with pytest.raises(InferenceServerException, match="no model 'nobody'") as nobody:
        triton.get_model_metadata("nobody")
    assert nobody.value.status() in ("404", "StatusCode.NOT_FOUND")
    assert not triton.is_model_ready("nobody")


def test_models_are_listed_unloaded_and_loaded(triton: Any) -> None:
    """As control programs do it."""
    triton.unload_model(TOTAL)
    try:
        assert not triton.is_model_ready(TOTAL)
        with pytest.raises(InferenceServerException, match="unloaded"):
            triton.infer(TOTAL, [given(triton, "x", np.arange(4), "INT64")])
    finally:
        triton.load_model(TOTAL)
    assert triton.is_model_ready(TOTAL)
    index = triton.get_model_repository_index()
    names = {each["name"] for each in index} if isinstance(index, list) else {each.name for each in index.models}
    assert {DIGITS, ARITHMETIC, TOTAL} <= names


def test_statistics_count(triton: Any) -> None:
    """One request more after one more request."""

    def inferences() -> int:
        found = triton.get_inference_statistics(TOTAL)
        counts = found["model_stats"][0] if isinstance(found, dict) else found.model_stats[0]
        return int(counts["inference_count"] if isinstance(counts, dict) else counts.inference_count)

    before = inferences()
    triton.infer(TOTAL, [given(triton, "x", np.arange(4), "INT64")])
    assert inferences() == before + 1


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compression_over_http(served: Served, coding: str) -> None:
    """Of requests and of replies."""
    client = tritonclient.http.InferenceServerClient(served.http_address)
    many = np.arange(64 * 3, dtype=np.float32).reshape(64, 3)
    inputs = []
    for name in ("a", "b"):
        inputs.append(tritonclient.http.InferInput(name, [64, 3], "FP32"))
        inputs[-1].set_data_from_numpy(many)
    reply = client.infer(
        ARITHMETIC, inputs, request_compression_algorithm=coding, response_compression_algorithm=coding
    )
    np.testing.assert_array_equal(reply.as_numpy("sum"), many * 2)
    client.close()


def test_a_picture_file_gives_what_classify_gives(triton: Any) -> None:
    """BYTES with an encoded picture, classified by the extension: indices, labels and scores of /v1."""
    file = np.array([digit(5)], dtype=object)
    reply = triton.infer(
        DIGITS, [given(triton, "image", file, "BYTES")], outputs=[wanted(triton, "probabilities", class_count=3)]
    )
    best = [entry.decode().split(":") for entry in reply.as_numpy("probabilities")[0]]
    assert best[0] == [best[0][0], "5", "5"]
    assert len(best) == 3


def test_mobilenet_gives_what_classify_gives(triton: Any, with_mobilenet: Served, mobilenet: SuppliedModel) -> None:
    """Triton's client with the parrot as a file, as a tensor and as classes: each equal to /v1/classify's answer."""
    agent = with_mobilenet.agent
    path = f"/v1/models/{MOBILENET}/classify?top_k=5&decode=exact"
    expected = ClassifyReply.model_validate_json(agent.post(path, mobilenet.parrot).content)
    file = np.array([mobilenet.parrot], dtype=object)
    metadata = agent.get(f"/v2/models/{MOBILENET}").json()
    source, sink = metadata["inputs"][0]["name"], metadata["outputs"][0]["name"]
    scale = agent.get(f"/v1/models/{MOBILENET}").json()["outputs"][0]["scale"]
    stored = triton.infer(MOBILENET, [given(triton, source, file, "BYTES")]).as_numpy(sink)[0]
    odds = np.exp((stored.astype(np.float64) - stored.max()) * scale)
    odds /= odds.sum()
    assert [each.score for each in expected.predictions] == pytest.approx(
        [odds[each.index] for each in expected.predictions], rel=1e-4
    )
    classes = triton.infer(
        MOBILENET, [given(triton, source, file, "BYTES")], outputs=[wanted(triton, sink, class_count=5)]
    ).as_numpy(sink)[0]
    said = [entry.decode().split(":", 2) for entry in classes]
    assert [(int(index), label) for _, index, label in said] == [
        (each.index, each.label) for each in expected.predictions
    ]
    assert "macaw" in said[0][2]
    assert all(math.isclose(float(value), stored[int(index)]) for value, index, _ in said)
    pictures = np.array([mobilenet.parrot] * 2, dtype=object)
    both = triton.infer(MOBILENET, [given(triton, source, pictures, "BYTES")]).as_numpy(sink)
    assert both.shape == (2, 1001)
    assert np.abs(both[1].astype(int) - stored).max() <= 4  # another kernel for batches, another rounding

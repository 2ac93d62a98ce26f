"""Hostile requests by the thousand: the agent and its workers live, and each gets a clear refusal."""

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2

from tests.agents import wait_for
from tests.images import digit
from tests.server.openinference.conftest import ARITHMETIC, TOTAL, Served
from tests.server.openinference.hostile import hostile

RUNTIMES = ("litert", "openvino")
"""For `digits` and for models in ONNX: each has two workers."""
MANY, ALL = 1000, 10_000
SENDERS = 4
ERROR_MAX = 600


def send(served: Served, seeds: range) -> Counter[int]:
    """Send the requests of these seeds one after the other; what is no refusal and no answer fails."""
    statuses: Counter[int] = Counter()
    with closing(http.client.HTTPConnection(served.http_address, timeout=60)) as connection:
        for seed in seeds:
            request = hostile(seed)
            content = request.body()
            with suppress(BrokenPipeError, ConnectionResetError):  # it refused before it had read all
                connection.request("POST", f"/v2/models/{ARITHMETIC}/infer", content, request.headers)
            response = connection.getresponse()
            said = response.read()
            statuses[response.status] += 1
            if response.status != 200:
                error = json.loads(said)["error"]
                assert 400 <= response.status < 500, (seed, response.status, error)
                assert 10 < len(error) < ERROR_MAX, (seed, error)
    return statuses


@pytest.mark.parametrize("count", [MANY, pytest.param(ALL, marks=pytest.mark.slow)])
def test_hostile_requests_are_refused_and_nothing_dies(served: Served, count: int) -> None:
    """Wrong sizes, overflowing shapes, NaN, cut binaries, odd types: 4xx each, by the same processes as before."""
    agent = served.agent
    assert agent.post(f"/v2/repository/models/{ARITHMETIC}/load", b"").status_code == 200
    wait_for(lambda: len(agent.workers()) == 2 * len(RUNTIMES))
    workers = sorted(agent.workers())
    with ThreadPoolExecutor(SENDERS) as pool:
        statuses = sum(
            pool.map(lambda start: send(served, range(start, count, SENDERS)), range(SENDERS)), Counter[int]()
        )
    assert statuses.total() == count
    assert statuses[200] < count // 4, statuses  # some are only odd
    assert statuses[400] > count // 2, statuses
    assert agent.process.poll() is None
    assert sorted(agent.workers()) == workers
    assert "Traceback" not in agent.log()
    assert agent.post("/v1/classify", digit(7)).json()["predictions"][0]["label"] == "7"


def test_hostile_messages_over_grpc_are_refused(served: Served) -> None:
    """Contents that do not fit their shapes, raw beside typed, numbers beyond their type, names of any kind."""
    tensor = service_pb2.ModelInferRequest.InferInputTensor
    contents = service_pb2.InferTensorContents

    def request(*inputs: Any, raw: tuple[bytes, ...] = (), **fields: object) -> service_pb2.ModelInferRequest:
        return service_pb2.ModelInferRequest(model_name=TOTAL, inputs=inputs, raw_input_contents=raw, **fields)

    x = tensor(name="x", datatype="INT64", shape=[4])
    cases = {
        "needs": request(),
        "has 32 bytes, 0 were sent": request(x),
        "has 32 bytes, 24 were sent": request(
            tensor(name="x", datatype="INT64", shape=[4], contents=contents(int64_contents=[1, 2, 3]))
        ),
        "2 raw_input_contents for 1 inputs": request(x, raw=(b"", b"")),
        "not in both": request(
            tensor(name="x", datatype="INT64", shape=[4], contents=contents(int64_contents=[1])), raw=(b"",)
        ),
        "beyond INT8": request(tensor(name="x", datatype="INT8", shape=[1], contents=contents(int_contents=[300]))),
        "raw_input_contents only": request(tensor(name="x", datatype="FP16", shape=[1])),
        "holds -4": request(tensor(name="x", datatype="INT64", shape=[-4]), raw=(bytes(32),)),
        "has the shape": request(tensor(name="x", datatype="INT64", shape=[2**62, 2**62]), raw=(bytes(32),)),
        "no input": request(tensor(name="\u202ey" * 100, datatype="INT64", shape=[4]), raw=(bytes(32),)),
        "the id of a request": request(x, raw=(bytes(32),), id="7" * 5000),
        "no model": service_pb2.ModelInferRequest(model_name="\x00" * 1000),
        "no version": service_pb2.ModelInferRequest(model_name=TOTAL, model_version="-1"),
    }
    client = tritonclient.grpc.InferenceServerClient(served.grpc_address)
    workers = sorted(served.agent.workers())
    for said, message in cases.items():
        try:
            client._client_stub.ModelInfer(message)
        except Exception as error:
            assert said in error.details(), (said, error.details())  # type: ignore[attr-defined]
            assert error.code().name in ("INVALID_ARGUMENT", "NOT_FOUND")  # type: ignore[attr-defined]
        else:
            raise AssertionError(said)
    try:
        client._client_stub.ModelInfer(request(x, raw=(bytes(20 << 20),)))
    except Exception as error:
        assert error.code().name == "RESOURCE_EXHAUSTED"  # type: ignore[attr-defined]
    client.close()
    assert sorted(served.agent.workers()) == workers
    assert "Traceback" not in served.agent.log()

"""gRPC as a port of its own: token, certificate, limits, streams, calls that are given up, and an agent without it."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from contract.paths import TLS_SERVER_NAME
from tests.agents import TOKEN, RunningAgent, running_agent, wait_for
from tests.images import digit
from tests.server.openinference.conftest import DIGITS, TOTAL, Served, grpc_port

STRANGERS = 20


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent with token and TLS that listens for gRPC."""
    folder = tmp_path_factory.mktemp("guarded")
    with running_agent(folder, "--grpc-port", "0", "--workers", "1", token=TOKEN) as running:
        yield running


def client_of(agent: RunningAgent) -> Any:
    """Triton's client that trusts the agent's certificate and nothing else."""
    return tritonclient.grpc.InferenceServerClient(
        f"127.0.0.1:{grpc_port(agent)}",
        ssl=True,
        root_certificates=str(agent.data / "tls" / "cert.pem"),
        channel_args=[("grpc.ssl_target_name_override", TLS_SERVER_NAME)],
    )


def picture(number: int) -> Any:
    """An input that holds the file of a digit."""
    made = tritonclient.grpc.InferInput("image", [1], "BYTES")
    made.set_data_from_numpy(np.array([digit(number)], dtype=object))
    return made


def test_the_token_and_the_pinned_certificate_open_the_port(guarded: RunningAgent) -> None:
    """The same token as over HTTPS, as metadata."""
    client = client_of(guarded)
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.is_server_live(headers=headers)
    wanted = [tritonclient.grpc.InferRequestedOutput("probabilities", class_count=1)]
    reply = client.infer(DIGITS, [picture(4)], outputs=wanted, headers=headers)
    assert reply.as_numpy("probabilities")[0][0].decode().endswith(":4:4")
    client.close()


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": TOKEN}, {"authorization": f"Basic {TOKEN}"}, {"authorization": "Bearer "}],
    ids=["nothing", "no scheme", "another scheme", "no token"],
)
def test_without_the_token_no_call_is_answered(guarded: RunningAgent, headers: dict[str, str]) -> None:
    """Liveness alone is open."""
    client = client_of(guarded)
    with pytest.raises(InferenceServerException, match="authorization: Bearer TOKEN") as refused:
        client.is_server_ready(headers=headers)
    assert refused.value.status() == "StatusCode.UNAUTHENTICATED"
    assert client.is_server_live(headers=headers)
    client.close()


def test_no_call_is_forgotten_by_the_guard(guarded: RunningAgent) -> None:
    """Every call, also one that is not there, is refused without the token, liveness excepted; none reads a message."""
    credentials = grpc.ssl_channel_credentials((guarded.data / "tls" / "cert.pem").read_bytes())
    options = [("grpc.ssl_target_name_override", TLS_SERVER_NAME)]
    names = [method.name for method in service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods]
    with grpc.secure_channel(f"127.0.0.1:{grpc_port(guarded)}", credentials, options) as channel:
        for name in [*names, "Nothing"]:
            call: Any = channel.stream_stream(f"/inference.GRPCInferenceService/{name}")
            if name == "ServerLive":
                assert list(call(iter([b"\xff" * 100_000]))) == [b"\x08\x01"]
                continue
            with pytest.raises(grpc.RpcError) as refused:
                list(call(iter([b"\xff" * 100_000])))
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED, name


def test_wrong_tokens_are_counted_and_the_right_one_is_not_slowed_down(guarded: RunningAgent) -> None:
    """Ten a minute from one address, as over HTTP."""
    client = client_of(guarded)
    said = []
    for number in range(STRANGERS):
        with pytest.raises(InferenceServerException) as refused:
            client.is_server_ready(headers={"authorization": f"Bearer wrong{number}"})
        said.append(refused.value.status())
    assert said[:10] == ["StatusCode.UNAUTHENTICATED"] * 10
    assert said[10:] == ["StatusCode.RESOURCE_EXHAUSTED"] * 10
    assert client.is_server_ready(headers={"authorization": f"Bearer {TOKEN}"})
    assert TOKEN not in guarded.log()
    assert "wrong5" not in guarded.log()
    client.close()


def test_plain_text_is_not_answered(guarded: RunningAgent) -> None:
    """A client without TLS gets nothing, and the token it sends does not help."""
    client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{grpc_port(guarded)}")
    with pytest.raises(InferenceServerException):
        client.is_server_live(headers={"authorization": f"Bearer {TOKEN}"}, client_timeout=5)
    client.close()


def test_a_stream_answers_in_order_and_survives_an_error(served: Served) -> None:
    """One answer to each request; the wrong one in the middle costs itself alone."""
    answers: Queue[Any] = Queue()
    client = tritonclient.grpc.InferenceServerClient(served.grpc_address)
    client.start_stream(callback=lambda result, error: answers.put(error or result))
    wrong = tritonclient.grpc.InferInput("image", [3, 3], "BYTES")
    wrong.set_data_from_numpy(np.full((3, 3), b"", dtype=object))
    for number, given in ((1, picture(1)), (2, wrong), (3, picture(3))):
        client.async_stream_infer(DIGITS, [given], request_id=str(number))
    first, second, third = (answers.get(timeout=30) for _ in range(3))
    client.stop_stream()
    client.close()
    assert (first.get_response().id, third.get_response().id) == ("1", "3")
    assert isinstance(second, InferenceServerException)
    assert "pictures as BYTES" in str(second)


def test_calls_that_are_given_up_leave_everything_in_order(served: Served) -> None:
    """A deadline that passes at once, a hundred times: no memory stays taken, and others get their own answers."""
    stub = service_pb2_grpc.GRPCInferenceServiceStub
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="x", datatype="INT64", shape=[4])

    def request(number: int) -> Any:
        raw = np.full(4, number, np.int64).tobytes()
        return service_pb2.ModelInferRequest(model_name=TOTAL, inputs=[tensor], raw_input_contents=[raw])

    failures: list[object] = []

    def impatient() -> None:
        with grpc.insecure_channel(served.grpc_address) as channel:
            for number in range(100):
                try:
                    stub(channel).ModelInfer(request(number), timeout=0.002)
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                        failures.append(error.code())

    def patient() -> None:
        with grpc.insecure_channel(served.grpc_address) as channel:
            for number in range(100):
                reply = stub(channel).ModelInfer(request(number), timeout=60)
                if np.frombuffer(reply.raw_output_contents[0], np.int64) != 4 * number:
                    failures.append(number)

    threads = [threading.Thread(target=each) for each in (impatient, impatient, patient, patient)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert "Traceback" not in served.agent.log()


def test_bytes_that_are_no_message_are_the_senders_fault(served: Served) -> None:
    """Not the agent's: nothing is logged as one."""
    with grpc.insecure_channel(served.grpc_address) as channel:
        for name in ("ModelInfer", "ModelConfig", "RepositoryModelLoad"):
            call: Any = channel.unary_unary(f"/inference.GRPCInferenceService/{name}")
            with pytest.raises(grpc.RpcError) as refused:
                call(b"\xff" * 100)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Traceback" not in served.agent.log()


def test_silent_connections_are_bounded_and_go(tmp_path: Path) -> None:
    """Many more than there is room for: a few descriptors are taken, HTTP answers, and gRPC does again."""
    with running_agent(tmp_path, "--grpc-port", "0", "--workers", "1", "--connections", "16") as agent:
        address = ("127.0.0.1", grpc_port(agent))
        before = len(descriptors(agent))
        silent = [socket.create_connection(address) for _ in range(200)]
        try:
            assert agent.get("/v2/health/live").status_code == 200
            time.sleep(1)
            assert len(descriptors(agent)) < before + 30
            wait_for(lambda: len(descriptors(agent)) < before + 5, timeout_s=30)
            client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{address[1]}")
            assert client.is_server_live()
            client.close()
        finally:
            for each in silent:
                each.close()


def descriptors(agent: RunningAgent) -> list[Path]:
    """The open files of an agent's process."""
    return list(Path(f"/proc/{agent.process.pid}/fd").iterdir())


def test_typed_contents_are_taken_too(served: Served) -> None:
    """As clients send them that know no raw tensors."""
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="x", datatype="INT64", shape=[4])
    tensor.contents.int64_contents.extend([1, 2, 3, -10])
    with grpc.insecure_channel(served.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        reply = stub.ModelInfer(service_pb2.ModelInferRequest(model_name=TOTAL, inputs=[tensor]))
    assert np.frombuffer(reply.raw_output_contents[0], np.int64) == -4


def test_a_port_that_is_taken_is_said_at_the_start(served: Served, tmp_path: Path) -> None:
    """In one line, and the agent does not start without the port it was told to have."""
    server = Path(sys.executable).with_name("server")
    options = ["--port", "0", "--grpc-port", str(served.grpc_port), "--data", str(tmp_path), "--workers", "1"]
    done = subprocess.run([server, *options], capture_output=True, text=True, timeout=90)
    assert done.returncode == 3
    assert f"cannot listen for gRPC on 127.0.0.1:{served.grpc_port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_grpc_is_loaded_unless_it_is_asked_for(agent: RunningAgent) -> None:
    """It takes memory, and threads of its own; nor do workers load pydantic, whatever protocol they answer."""
    assert json.loads((agent.data / "agent.json").read_text())["grpc_port"] is None
    assert "/grpc/_cython/" not in Path(f"/proc/{agent.process.pid}/maps").read_text()
    assert agent.get("/v2").status_code == 200
    for pid in agent.workers():
        assert "pydantic_core" not in Path(f"/proc/{pid}/maps").read_text()


def test_without_the_library_the_option_says_what_is_missing(tmp_path: Path) -> None:
    """A device whose agent came without the extra."""
    program = (
        "import importlib.util, sys; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'grpc' else find(name, *rest)\n"
        "from server.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    options = ["--port", "0", "--grpc-port", "0", "--data", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", program, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "needs the extra `grpc`" in done.stderr

"""Connections: large, pipelined and announced bodies arrive whole; slow or greedy senders are cut off."""

import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.classify import ClassifyReply
from contract.paths import BLOB, CLASSIFY, HEALTH_READY, TLS_SERVER_NAME
from server.http.connections import PIPELINED_MAX
from tests.agents import RunningAgent, running_agent
from tests.images import digit, encoded, gradient

SNI = {"sni_hostname": TLS_SERVER_NAME}


@contextmanager
def connected(agent: RunningAgent) -> Iterator[socket.socket]:
    """A bare connection, with TLS where the agent has it."""
    with socket.create_connection(agent.address, timeout=20) as connection:
        if agent.host.certificate is None:
            yield connection
            return
        context = ssl.create_default_context(cadata=agent.host.certificate)
        with context.wrap_socket(connection, server_hostname=TLS_SERVER_NAME) as secured:
            yield secured


def received(connection: socket.socket, timeout_s: float) -> bytes:
    """All bytes until the other side closes."""
    connection.settimeout(timeout_s)
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def request_of(agent: RunningAgent, body: bytes, *headers: str) -> bytes:
    """A classify request as it goes over the wire."""
    lines = ["POST /v1/classify HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers]
    if agent.host.token:
        lines.append(f"Authorization: Bearer {agent.host.token}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def answers(received_bytes: bytes) -> list[ClassifyReply]:
    """The replies in a stream of answers to pipelined requests."""
    bodies = []
    while received_bytes:
        head, _, rest = received_bytes.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        bodies.append(ClassifyReply.model_validate_json(rest[:length]))
        received_bytes = rest[length:]
    return bodies


@pytest.fixture(params=["plain", "tls"])
def either_agent(request: pytest.FixtureRequest, agent: RunningAgent, secured_agent: RunningAgent) -> RunningAgent:
    """An agent without and one with TLS."""
    return agent if request.param == "plain" else secured_agent


def large_image() -> bytes:
    """A PNG of several megabytes: many reads, and more than one record of TLS."""
    image = encoded(gradient(1600, 1200), compress_level=0)
    assert len(image) > 5 << 20
    return image


def test_large_images_arrive_whole_one_after_the_other(either_agent: RunningAgent) -> None:
    """Bodies go past the parser into shared memory, and the connection stays usable behind them."""
    image, expected = large_image(), digit(7)
    with either_agent.http() as http:
        for _ in range(4):
            reply = ClassifyReply.model_validate_json(http.post(CLASSIFY, content=image, extensions=SNI).content)
            assert (reply.image.width, reply.image.height) == (1600, 1200)
            small = ClassifyReply.model_validate_json(http.post(CLASSIFY, content=expected, extensions=SNI).content)
            assert small.predictions[0].index == 7


def test_pipelined_requests_are_answered_in_order(either_agent: RunningAgent) -> None:
    """Requests sent without waiting, cut at odd places, do not run into one another's bodies."""
    wanted = [3, 1, 4, 1, 5, 9, 2, 6]
    stream = b"".join(request_of(either_agent, digit(number)) for number in wanted[:-1])
    stream += request_of(either_agent, digit(wanted[-1]), "Connection: close")
    with connected(either_agent) as connection:
        for start in range(0, len(stream), 701):
            connection.sendall(stream[start : start + 701])
            time.sleep(0.002)
        replies = answers(received(connection, 20))
    assert [reply.predictions[0].index for reply in replies] == wanted


def test_no_connection_sends_ever_more_requests_ahead(either_agent: RunningAgent) -> None:
    """Each costs the agent as much as one that waits: the first are answered, then the connection is closed."""
    with connected(either_agent) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300)
        statuses = re.findall(rb"HTTP/1.1 (\d+)", received(connection, 20))
    assert statuses == [b"200"] * (PIPELINED_MAX + 1) + [b"400"]


def test_a_sender_that_waits_for_leave_gets_it(either_agent: RunningAgent) -> None:
    """`Expect: 100-continue`, as curl sends it with larger bodies, is answered before the body comes."""
    message = request_of(either_agent, digit(8), "Expect: 100-continue", "Connection: close")
    head, body = message[: -len(digit(8))], digit(8)
    with connected(either_agent) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(body)
        (reply,) = answers(received(connection, 20))
    assert reply.predictions[0].index == 8


def test_a_sender_that_hangs_up_in_the_middle_leaves_nothing_behind(either_agent: RunningAgent) -> None:
    """Half bodies free their memory: afterwards as much can be sent as before."""
    image = large_image()
    for _ in range(30):  # more than all the memory for pictures, if one stayed
        with connected(either_agent) as connection:
            connection.sendall(request_of(either_agent, image)[: len(image) // 2])
    with either_agent.http() as http:
        assert http.post(CLASSIFY, content=image, extensions=SNI).status_code == 200


def test_an_upload_that_is_dropped_is_no_fault_of_the_agent(tmp_path: Path) -> None:
    """Its log has no complaint: who hung up knows."""
    path = BLOB.format(digest="sha256:" + "0" * 64)
    head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n\r\n".encode()
    with running_agent(tmp_path / "data", "--workers", "1", token=None) as agent:
        for _ in range(5):
            with connected(agent) as connection:
                connection.sendall(head + bytes(1_000_000))
        with agent.http() as http:
            assert http.get(HEALTH_READY).status_code == 200
    complaints = [line for line in agent.log_path.read_text().splitlines() if json.loads(line)["level"] == "error"]
    assert complaints == []


def test_an_endless_header_is_cut_off(agent: RunningAgent) -> None:
    """A request whose header never ends is answered with 431 and closed."""
    with socket.create_connection(agent.address) as connection:
        lines = b"".join(b"x-%d: %s\r\n" % (n, b"a" * 1000) for n in range(40))
        connection.sendall(b"GET /health/live HTTP/1.1\r\n" + lines)
        assert received(connection, 20).startswith(b"HTTP/1.1 431")
    assert agent.get("/health/live").status_code == 200


@pytest.mark.parametrize("size", [33_000, 200_000])
def test_a_header_that_comes_complete_is_limited_too(either_agent: RunningAgent, size: int) -> None:
    """Behind a body, in one piece, as alone: the limit does not depend on how the bytes are cut."""
    large = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * size + b"\r\n\r\n"
    with connected(either_agent) as connection:
        connection.sendall(request_of(either_agent, digit(3)) + large)
        found = received(connection, 20)
    first, _, second = found.partition(b"HTTP/1.1 431")
    assert answers(first)[0].predictions[0].index == 3
    assert second


def test_half_of_the_next_header_behind_a_body_is_no_fault(either_agent: RunningAgent) -> None:
    """Bytes of a body are not counted as header, so the first reply arrives and the second request is answered."""
    first = request_of(either_agent, large_image())
    second = request_of(either_agent, digit(4), "Connection: close")
    with connected(either_agent) as connection:
        connection.sendall(first + second[:40])
        time.sleep(0.2)
        connection.sendall(second[40:])
        replies = answers(received(connection, 20))
    assert replies[0].image.width == 1600
    assert replies[1].predictions[0].index == 4


def test_a_refused_upload_is_told_why_before_it_is_cut_off(secured_agent: RunningAgent) -> None:
    """A large picture with a wrong token gets its 401, not a broken connection."""
    with secured_agent.http() as http:
        headers = {"Authorization": "Bearer wrong"}
        response = http.post("/v1/classify", content=bytes(9 << 20), headers=headers, extensions=SNI)
    assert response.status_code in (401, 429)

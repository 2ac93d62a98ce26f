"""Who only opens connections, sends slowly or never reads keeps nobody else out, and stops nobody's work."""

import itertools
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from contract.classify import ClassifyReply
from contract.codes import ErrorCode
from contract.errors import Problem
from contract.paths import CLASSIFY, HEALTH_LIVE
from server.workers.admission import PLACES_A_HAND
from server.workers.process import DEPTH
from tests.agents import TOKEN, RunningAgent, running_agent, wait_for
from tests.images import digit
from tests.server.test_connections import SNI, answers, connected, received, request_of

BETWEEN_S = 0.05
"""From one request to the next."""

DEADLINES = """
import sys
import server.http.accepting as a, server.http.connections as c
from server.cli import main
{}
sys.exit(main())
"""
"""Runs the agent with deadlines that a test need not wait long for."""
STATIC = b"GET /static/echarts.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@contextmanager
def hurried_agent(
    folder: Path, settings: str, *options: str, token: str | None = TOKEN, descriptors: int | None = None
) -> Iterator[RunningAgent]:
    """An agent whose deadlines are set by Python statements over its modules."""
    command = [sys.executable, "-c", DEADLINES.format(settings)]
    if descriptors is not None:
        command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$0" "$@"', *command]
    with running_agent(folder / "data", "--workers", "1", *options, token=token, command=command) as agent:
        yield agent


def idle_connections(agent: RunningAgent, count: int, sent: bytes = b"") -> Iterator[socket.socket]:
    """Bare connections that send something, or nothing, and never read."""
    for _ in range(count):
        connection = socket.create_connection(agent.address, timeout=20)
        connection.sendall(sent)
        yield connection


def closed(connections: Sequence[socket.socket]) -> int:
    """How many of them the agent has ended."""
    ended = 0
    for connection in connections:
        connection.setblocking(False)
        try:
            while connection.recv(1 << 20):
                pass
            ended += 1
        except BlockingIOError:
            pass
        except OSError:
            ended += 1
    return ended


@pytest.fixture(params=["plain", "tls"])
def crowded_agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningAgent]:
    """An agent for few connections, with a token, without and with TLS."""
    tls = "on" if request.param == "tls" else "off"
    with hurried_agent(tmp_path, "a.NEWCOMER_S = 0.5", "--connections", "24", "--tls", tls) as agent:
        yield agent


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", STATIC * 20], ids=["idle", "slow", "never reading"])
def test_strangers_keep_nobody_out(crowded_agent: RunningAgent, sent: bytes) -> None:
    """However many connect without a token: newcomers get in, and who was at work goes on over the same connection."""
    with crowded_agent.http() as working, ExitStack() as stack:
        assert working.post(CLASSIFY, content=digit(1), extensions=SNI).status_code == 200
        mine = next(iter(working._transport._pool.connections))  # type: ignore[attr-defined]
        for connection in idle_connections(crowded_agent, 100, sent):
            stack.callback(connection.close)
        assert crowded_agent.get(HEALTH_LIVE).status_code == 200
        assert crowded_agent.post(CLASSIFY, content=digit(2)).status_code == 200
        assert working.post(CLASSIFY, content=digit(3), extensions=SNI).status_code == 200
        assert list(working._transport._pool.connections) == [mine]  # type: ignore[attr-defined]


def test_who_has_authenticated_leaves_room_for_newcomers(tmp_path: Path) -> None:
    """Kept connections of clients fill their share alone; the one that was idle longest makes room for another's."""
    with (
        running_agent(tmp_path / "data", "--workers", "1", "--connections", "12", token=TOKEN) as agent,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(agent.http()) for _ in range(20)]
        for client in clients:
            assert client.post(CLASSIFY, content=digit(1), extensions=SNI).status_code == 200
        assert agent.get(HEALTH_LIVE).status_code == 200


@pytest.mark.parametrize("tls", ["off", "on"])
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", STATIC * 20], ids=["idle", "slow", "never reading"])
def test_strangers_are_ended_by_deadlines(tmp_path: Path, tls: str, sent: bytes) -> None:
    """Nobody has to come for it: what does not authenticate, send or read is ended in time."""
    hurry = "a.HANDSHAKE_TIMEOUT_S = 1; c.STRANGER_TIMEOUT_S = 1; c.WRITE_TIMEOUT_S = 1"
    with hurried_agent(tmp_path, hurry, "--tls", tls) as agent, ExitStack() as stack:
        idle: list[socket.socket]
        if sent and tls == "on":
            idle = [stack.enter_context(secured(agent, sent)) for _ in range(10)]
        else:
            idle = [stack.enter_context(connection) for connection in idle_connections(agent, 20, sent)]
        wait_for(lambda: open_sockets(agent) == 0, 30)
        assert closed(idle) == len(idle)


@contextmanager
def secured(agent: RunningAgent, sent: bytes) -> Iterator[ssl.SSLSocket]:
    """A TLS connection that sends something and never reads."""
    with connected(agent) as connection:
        assert isinstance(connection, ssl.SSLSocket)
        connection.sendall(sent)
        yield connection


def open_sockets(agent: RunningAgent) -> int:
    """Connections the agent's process holds, or has yet to accept, by /proc."""
    port = f":{agent.address[1]:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if (f := line.split())[1].endswith(port) and f[3] in ("01", "08"))


def test_a_kept_connection_outlives_the_deadlines_of_strangers(tmp_path: Path) -> None:
    """Who has sent the token once is kept for its next request."""
    with hurried_agent(tmp_path, "c.STRANGER_TIMEOUT_S = 1") as agent, agent.http() as http:
        assert http.post(CLASSIFY, content=digit(1), extensions=SNI).status_code == 200
        time.sleep(3)
        assert len(http._transport._pool.connections) == 1  # type: ignore[attr-defined]
        assert http.post(CLASSIFY, content=digit(1), extensions=SNI).status_code == 200
        assert open_sockets(agent) == 1


def test_descriptors_are_left_to_jobs(tmp_path: Path) -> None:
    """More connections than descriptors: the agent keeps what its own work needs, and a job succeeds."""
    options = ("--allow-commands", "on")
    with (
        hurried_agent(tmp_path, "a.DESCRIPTORS_RESERVED = 60", *options, descriptors=128) as agent,
        ExitStack() as stack,
        agent.http() as http,
    ):
        for connection in idle_connections(agent, 300):
            stack.callback(connection.close)
        request = {"kind": "command", "spec": {"argv": ["true"]}}
        job = http.post("/v1/jobs", json=request, extensions=SNI).json()["id"]
        ended = ("succeeded", "failed", "cancelled", "interrupted")
        wait_for(lambda: http.get(f"/v1/jobs/{job}", extensions=SNI).json()["state"] in ended, 60)
        assert http.get(f"/v1/jobs/{job}", extensions=SNI).json()["state"] == "succeeded"


def test_running_out_of_descriptors_does_not_spin(tmp_path: Path) -> None:
    """Even without a reserve the agent waits for descriptors instead of asking for them in a loop, and recovers."""
    with hurried_agent(tmp_path, "a.DESCRIPTORS_RESERVED = -1000", descriptors=64) as agent:
        with ExitStack() as stack:
            for connection in idle_connections(agent, 150):
                stack.callback(connection.close)
            before = cpu_seconds(agent.process.pid)
            time.sleep(1)
            assert cpu_seconds(agent.process.pid) - before < 0.5
        wait_for(lambda: agent.get(HEALTH_LIVE).status_code == 200)


def cpu_seconds(pid: int) -> float:
    """CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("tls", ["off", "on"])
def test_slow_uploads_hold_neither_places_nor_memory(tmp_path: Path, tls: str) -> None:
    """More of them than there are places for pictures, each announcing the largest: others are served meanwhile."""
    options = ("--tls", tls, "--max-held-bytes", str(20 << 20))
    with hurried_agent(tmp_path, "c.BODY_WINDOW_S = 60", *options) as agent, ExitStack() as stack:
        slow = [stack.enter_context(connected(agent)) for _ in range(70)]
        for connection in slow:
            connection.sendall(request_of(agent, bytes(10 << 20))[:400])
        for number in range(10):
            reply = agent.post(CLASSIFY, content=digit(number))
            assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("header", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_body_that_hardly_moves_is_ended(tmp_path: Path, header: str) -> None:
    """Its sender is told why."""
    head = f"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n{header}\r\n\r\n"
    options = ("--tls", "off")
    with hurried_agent(tmp_path, "c.BODY_WINDOW_S = 1", *options) as agent, connected(agent) as connection:
        connection.sendall(head.encode() + b"5\r\nabcde\r\n")
        assert received(connection, 30).startswith(b"HTTP/1.1 408")


def test_a_stranger_cannot_send_much(tmp_path: Path) -> None:
    """The path that is open to everybody takes a code and no more."""
    with hurried_agent(tmp_path, "pass", "--tls", "off") as agent, connected(agent) as connection:
        head = "POST /v1/session HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\nContent-Length: 900000\r\n\r\n"
        connection.sendall(head.encode() + bytes(300_000))
        assert received(connection, 20)[:12] in (b"HTTP/1.1 413", b"HTTP/1.1 403")


def test_who_waits_longest_is_served_first_and_told_how_long(tmp_path: Path) -> None:
    """Waiting requests are answered in the order in which they came, with the wait in their queue time."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, ExitStack() as stack:
        (worker,) = agent.workers()
        stack.callback(signal_to, worker, signal.SIGCONT)
        signal_to(worker, signal.SIGSTOP)
        waiting = []
        for number in range(12):
            connection = stack.enter_context(connected(agent))
            connection.sendall(request_of(agent, digit(number % 10), "Connection: close"))
            waiting.append(connection)
            time.sleep(BETWEEN_S)
        signal_to(worker, signal.SIGCONT)
        replies = [answers(received(connection, 30))[0] for connection in waiting]
    assert [reply.predictions[0].index for reply in replies] == [number % 10 for number in range(12)]
    queued = [reply.timing_ms.queue for reply in replies[1:]]
    later = 1000 * BETWEEN_S  # the agent may have been away from them all for a moment when they came
    assert all(waited > after - later for waited, after in itertools.pairwise(queued)), queued
    assert queued[0] > queued[-1] + 5 * later
    assert replies[-1].timing_ms.queue > 1
    assert all(reply.timing_ms.total >= reply.timing_ms.queue for reply in replies)


def signal_to(pid: int, number: signal.Signals) -> None:
    """Stop or continue a process."""
    subprocess.run(["kill", f"-{number.name.removeprefix('SIG')}", str(pid)], check=True)


def test_who_waited_too_long_is_refused_without_its_body(tmp_path: Path) -> None:
    """Refused by age: 503 with Retry-After, while the sender has sent no more than the kernel takes."""
    with running_agent(tmp_path / "data", "--workers", "1", "--queue-timeout-s", "1") as agent, ExitStack() as stack:
        (worker,) = agent.workers()
        stack.callback(signal_to, worker, signal.SIGCONT)
        signal_to(worker, signal.SIGSTOP)
        for _ in range(DEPTH * PLACES_A_HAND):
            stack.enter_context(connected(agent)).sendall(request_of(agent, digit(1)))
        with agent.http() as http:
            refused = http.post(CLASSIFY, content=bytes(9 << 20))
        assert refused.status_code == 503
        assert Problem.model_validate_json(refused.content).code == ErrorCode.OVERLOADED
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["connection"] == "close"
        expecting = stack.enter_context(connected(agent))
        expecting.sendall(request_of(agent, bytes(1000), "Expect: 100-continue")[:-1000])
        assert expecting.recv(1000).startswith(b"HTTP/1.1 503")


def test_who_gave_up_waiting_costs_nothing(tmp_path: Path) -> None:
    """Requests whose senders hung up are passed over, those behind them answered."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, ExitStack() as stack:
        (worker,) = agent.workers()
        stack.callback(signal_to, worker, signal.SIGCONT)
        signal_to(worker, signal.SIGSTOP)
        for _ in range(30):
            with connected(agent) as connection:
                connection.sendall(request_of(agent, digit(1)))
                time.sleep(0.02)
        last = stack.enter_context(connected(agent))
        last.sendall(request_of(agent, digit(8), "Connection: close"))
        signal_to(worker, signal.SIGCONT)
        (reply,) = answers(received(last, 30))
    assert reply.predictions[0].index == 8


def test_several_images_at_once_share_the_queue(agent: RunningAgent) -> None:
    """Multipart bodies wait for their turn like others, and their pictures for theirs."""
    files = [("image", (f"{number}.png", digit(number))) for number in range(10)]
    with agent.http() as http:
        results = http.post(CLASSIFY, files=files).json()["results"]
    found = [ClassifyReply.model_validate(each["result"]).predictions[0].index for each in results]
    assert found == list(range(10))


@pytest.mark.parametrize("tls", ["off", "on"])
def test_idle_connections_do_not_delay_the_stop(tmp_path: Path, tls: str) -> None:
    """`docker stop` kills after 10 s: nobody else's connection may take that long, whether shaken hands or not."""
    with running_agent(tmp_path / "data", "--workers", "1", "--tls", tls, token=TOKEN) as agent, ExitStack() as stack:
        for connection in idle_connections(agent, 30):
            stack.callback(connection.close)
        for _ in range(30):
            stack.enter_context(connected(agent))
        kept = stack.enter_context(agent.http())
        assert kept.get("/v1/info", extensions=SNI).status_code == 200
        agent.process.terminate()
        assert agent.process.wait(timeout=9) == 0


def test_a_request_that_runs_when_the_agent_stops_is_answered(tmp_path: Path) -> None:
    """Stopping ends what is idle, not what is at work."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, ExitStack() as stack:
        (worker,) = agent.workers()
        stack.callback(signal_to, worker, signal.SIGCONT)
        signal_to(worker, signal.SIGSTOP)
        connection = stack.enter_context(connected(agent))
        connection.sendall(request_of(agent, digit(5)))
        wait_for(lambda: httpx.get(f"{agent.url}{HEALTH_LIVE}").status_code == 200)
        agent.process.terminate()
        time.sleep(0.5)
        signal_to(worker, signal.SIGCONT)
        (reply,) = answers(received(connection, 20))
    assert reply.predictions[0].index == 5

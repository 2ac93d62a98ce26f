"""The SDK against real agents: typed results, pins, retries only where safe."""

import asyncio
import inspect
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from client import (
    AgentFault,
    AsyncEdgeClient,
    EdgeClient,
    Host,
    HostError,
    NotAuthorized,
    NotTrusted,
    Refused,
    Unreachable,
)
from client.errors import EdgeError
from contract.codes import ErrorCode
from contract.models import ModelManifest, Preprocessing
from image_model.catalog import EMBEDDED_FOLDER, SAMPLES_FOLDER, load_catalog
from server.http.tls import ensure_certificate
from server.runtimes import installed_runtimes
from tests.agents import RunningAgent, running_agent, wait_for
from tests.home import Home
from tests.images import digit

DIGITS = load_catalog()["digits"]


def test_a_image_is_classified_from_bytes_or_a_path(secured_agent: RunningAgent) -> None:
    """The result is typed, names its host, and tells the network apart from the agent's stages."""
    with EdgeClient(secured_agent.host) as client:
        first = client.classify(digit(3), top_k=2)
        second = client.classify(SAMPLES_FOLDER / "digit-3.png")
        third = client.classify(str(SAMPLES_FOLDER / "digit-8.png"), runtime="tflite", model="digits")
    assert (first.label, second.label, third.label) == ("3", "3", "8")
    assert first.score > 0.5
    assert len(first.predictions) == 2
    assert third.reply.runtime.name == "tflite"
    assert first.connect_ms > 0
    assert second.connect_ms == 0
    assert second.exchange_ms >= second.reply.timing_ms.total
    assert second.network_ms == pytest.approx(second.exchange_ms - second.reply.timing_ms.total)


def test_the_asynchronous_client_gives_the_same(secured_agent: RunningAgent) -> None:
    """Concurrent pictures over one client get their own answers."""

    async def classify_all() -> list[str]:
        async with AsyncEdgeClient(secured_agent.host) as client:
            results = await asyncio.gather(*(client.classify(digit(n)) for n in range(10)))
            assert (await client.ready()).status == "ready"
            return [result.label for result in results]

    assert asyncio.run(classify_all()) == [str(n) for n in range(10)]


def test_both_clients_offer_the_same_calls() -> None:
    """A call added to one client alone is noticed here, and so is a different signature."""

    def calls(kind: type) -> dict[str, list[str]]:
        members = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(f).parameters) for name, f in members if not name.startswith("_")}

    assert calls(EdgeClient) == calls(AsyncEdgeClient)


def test_models_come_and_go(tmp_path: Path) -> None:
    """Push with progress, list, choose, remove; bytes that are there are not sent again. Nobody else sends any here."""
    model, labels = (EMBEDDED_FOLDER / file.name for file in (DIGITS.model, DIGITS.labels))
    manifest = ModelManifest(
        model=DIGITS.model.digest,
        labels=DIGITS.labels.digest,
        preprocessing=Preprocessing(input_range=DIGITS.input_range),
    )
    files = {DIGITS.model.digest: model, DIGITS.labels.digest: labels}
    sent: list[tuple[str, int, int]] = []
    with running_agent(tmp_path / "data") as agent, EdgeClient(agent.host) as client:
        described = client.push_model("sdk", manifest, files, lambda *step: sent.append(step))
        assert described.label_count == 10
        assert (model.name, DIGITS.model.size_bytes, DIGITS.model.size_bytes) in sent
        sent.clear()
        client.push_model("sdk-again", manifest, files, lambda *step: sent.append(step))
        assert sent == []
        client.choose_default_model("sdk")
        assert client.models().default == "sdk"
        assert client.classify(digit(9)).reply.model.name == "sdk"
        client.delete_model("sdk")
        client.delete_model("sdk-again")
        assert client.models().default == "digits"
        with pytest.raises(Refused) as caught:
            client.model("sdk")
    assert caught.value.problem.code == ErrorCode.UNKNOWN_MODEL
    assert caught.value.exit_code == 5


def test_another_certificate_is_noticed_before_the_token_is_sent(secured_agent: RunningAgent, tmp_path: Path) -> None:
    """The error names both fingerprints and what to do; the agent never saw a request."""
    other = ensure_certificate(tmp_path / "other").certificate_path.read_text()
    with pytest.raises(NotTrusted) as caught, EdgeClient(replace(secured_agent.host, certificate=other)) as client:
        client.info()
    assert "pinned sha256:" in str(caught.value)
    assert "hosts trust test" in (caught.value.hint or "")
    assert caught.value.exit_code == 4


def test_the_systems_certificate_authorities_do_not_count(secured_agent: RunningAgent) -> None:
    """Without a pin no https connection is made at all."""
    with pytest.raises(NotTrusted, match="no certificate is pinned"):
        EdgeClient(replace(secured_agent.host, certificate=None))


def test_a_token_never_crosses_a_network_readable() -> None:
    """Plain HTTP is for loopback."""
    with pytest.raises(NotTrusted, match="not encrypted"):
        EdgeClient(Host("far", "http://192.0.2.1:8080", token="secret"))


def test_a_wrong_token_is_said_to_be_wrong(secured_agent: RunningAgent) -> None:
    """401 is its own error with its own exit code."""
    with pytest.raises(NotAuthorized) as caught, EdgeClient(replace(secured_agent.host, token="wrong")) as client:
        client.info()
    assert caught.value.exit_code == 4


def test_nobody_there_is_said_quickly() -> None:
    """A closed port is unreachable, without retries."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(Unreachable) as caught, EdgeClient(Host("gone", f"http://127.0.0.1:{port}")) as client:
        client.info()
    assert caught.value.exit_code == 3
    assert time.monotonic() - started < 5


@contextmanager
def answering(*replies: bytes | None) -> Iterator[tuple[Host, list[bytes]]]:
    """A server that reads each request and sends the next reply, or hangs up for None."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for reply in replies:
                try:
                    connection, _ = listener.accept()
                except OSError:  # the test is over before all replies were wanted
                    return
                with connection:
                    connection.settimeout(5)
                    seen.append(connection.recv(65536))
                    if reply is not None:
                        connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Host("scripted", f"http://127.0.0.1:{listener.getsockname()[1]}"), seen


def http_reply(status: str, body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 " + status.encode(), b"content-length: %d" % len(body), b"connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


LIVE = http_reply("200 OK", b'{"status":"live"}', b"content-type: application/json")
BUSY = http_reply(
    "429 Too Many Requests",
    b'{"type":"t","title":"busy","status":429,"detail":"d","code":"queue_full"}',
    b"content-type: application/problem+json",
    b"retry-after: 1",
)


def test_a_dropped_connection_is_tried_again_where_that_is_safe() -> None:
    """A GET whose connection was closed before the answer is repeated; a DELETE is not."""
    with answering(None, LIVE) as (host, seen), EdgeClient(host) as client:
        assert client.live().status == "live"
        assert len(seen) == 2
    with answering(None, LIVE) as (host, seen), EdgeClient(host) as client:
        with pytest.raises(Unreachable, match="broke off"):
            client.delete_model("x")
        assert len(seen) == 1


def test_a_full_queue_is_waited_for_as_long_as_it_says() -> None:
    """429 with Retry-After is tried again after that time."""
    started = time.monotonic()
    with answering(BUSY, LIVE) as (host, seen), EdgeClient(host) as client:
        assert client.live().status == "live"
    assert len(seen) == 2
    assert time.monotonic() - started >= 1


def test_retries_end() -> None:
    """After the allowed attempts the refusal is the answer."""
    with answering(BUSY, BUSY) as (host, _), EdgeClient(host, retries=1) as client, pytest.raises(Refused) as caught:
        client.live()
    assert caught.value.problem.code == ErrorCode.QUEUE_FULL


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (http_reply("200 OK", b"<html>router login</html>"), EdgeError),
        (http_reply("502 Bad Gateway", b"<html>proxy</html>"), AgentFault),
        (http_reply("404 Not Found", b""), Refused),
        (http_reply("500 Oops", b"{", b"content-type: application/problem+json"), AgentFault),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Unreachable),
    ],
)
def test_what_is_no_agent_is_told_from_one(reply: bytes, error: type[EdgeError]) -> None:
    """Proxies, login pages and other protocols give an error of ours, never a traceback."""
    with answering(*[reply] * 3) as (host, _), EdgeClient(host) as client, pytest.raises(error):
        client.live()


def test_a_worker_lost_in_mid_image_is_tried_again(tmp_path: Path) -> None:
    """classify changes nothing on the agent, so the client repeats it after worker_lost."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, EdgeClient(agent.host) as client:
        (worker,) = agent.workers()
        os.kill(worker, signal.SIGSTOP)
        results: list[str] = []
        thread = threading.Thread(target=lambda: results.append(client.classify(digit(5)).label))
        thread.start()
        time.sleep(0.5)
        os.kill(worker, signal.SIGKILL)
        thread.join(30)
        assert results == ["5"]
        wait_for(agent.workers)


def test_a_host_is_found_by_name_in_the_hosts_file(agent: RunningAgent, home: Home) -> None:
    """EdgeClient("edge1") is all a notebook needs; without a name the only host is meant."""
    home.knows(agent)
    for name in ("edge1", None):
        with EdgeClient(name) as client:
            assert client.classify(digit(4)).label == "4"
    with pytest.raises(HostError, match="edge2"):
        EdgeClient("edge2")


def test_info_describes_agent_and_device(secured_agent: RunningAgent) -> None:
    """Runtimes with versions, what is allowed, and how the agent is protected."""
    with EdgeClient(secured_agent.host) as client:
        info = client.info()
    assert {runtime.name for runtime in info.runtimes if runtime.installed} == set(installed_runtimes())
    assert info.security.token_required
    assert info.security.tls
    assert info.workers == 1
    assert info.allowed.cpus >= 1
    assert info.limits.image_pixels == 40_000_000

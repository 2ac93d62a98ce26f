"""Workers may die, hang and grow: only the request in their hands notices."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from contract.codes import ErrorCode
from server.resources import private_bytes
from tests.agents import running_agent, wait_for
from tests.images import digit, encoded, gradient
from tests.server.test_classify import problem

SLOW_IMAGE = encoded(gradient(5000, 5000), "PNG", compress_level=1)[: 10 << 20]
"""Takes a worker a good part of a second to decode."""


def slow_image() -> bytes:
    assert len(SLOW_IMAGE) < 10 << 20
    return SLOW_IMAGE


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that does nothing for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_killing_a_worker_fails_only_the_request_it_works_on(tmp_path: Path) -> None:
    """Of three requests in one worker's hands and behind it, one gets 503 and two are answered by its successor."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        (worker,) = agent.workers()
        with ThreadPoolExecutor(3) as threads, frozen(worker):
            replies = [threads.submit(http.post, "/v1/classify", content=digit(n)) for n in (1, 2, 3)]
            time.sleep(0.5)  # all three are with the agent: one in work, one in the worker's hands, one queued
            os.kill(worker, signal.SIGKILL)
            killed_at = time.monotonic()
            responses = [reply.result() for reply in replies]
        assert Counter(response.status_code for response in responses) == {200: 2, 503: 1}
        lost = next(response for response in responses if response.status_code == 503)
        assert problem(lost).code == ErrorCode.WORKER_LOST
        assert lost.headers["retry-after"] == "1"
        assert time.monotonic() - killed_at < 10
        wait_for(lambda: len(agent.workers()) == 1)


def test_a_hanging_worker_is_replaced(tmp_path: Path) -> None:
    """A worker that takes longer than allowed is killed, and the sender is told."""
    options = ("--workers", "1", "--request-timeout-s", "1")
    with running_agent(tmp_path / "data", *options) as agent, agent.http() as http:
        (worker,) = agent.workers()
        with frozen(worker):
            found = problem(http.post("/v1/classify", content=digit(1)))
        assert (found.status, found.code) == (504, ErrorCode.WORKER_TIMEOUT)
        assert http.post("/v1/classify", content=digit(1)).status_code == 200
        assert agent.workers() != [worker]


def test_a_worker_that_outgrows_its_memory_says_so_or_is_replaced(tmp_path: Path) -> None:
    """A picture that needs more memory than a worker may have is answered with that, and the next one works."""
    options = ("--workers", "1", "--worker-memory-bytes", str(150 << 20), "--max-image-pixels", "100000000")
    with running_agent(tmp_path / "data", *options) as agent, agent.http() as http:
        image = encoded(gradient(64, 64).resize((9000, 9000)), "JPEG", quality=20)  # 243 MB once decoded
        found = problem(http.post("/v1/classify?decode=exact", content=image))
        assert (found.status, found.code) == (503, ErrorCode.WORKER_OUT_OF_MEMORY)
        assert http.post("/v1/classify", content=digit(1)).status_code == 200


def test_an_idle_worker_gives_back_what_a_picture_took(tmp_path: Path) -> None:
    """It keeps memory from one picture to the next, but not for nobody."""
    picture = encoded(gradient(1900, 1900), "PNG", compress_level=1)  # 14 MB once decoded
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        (worker,) = agent.workers()
        before = private_bytes(worker)
        assert http.post("/v1/classify?decode=exact", content=picture).status_code == 200
        after = private_bytes(worker)
        assert before is not None
        assert after is not None
        assert after - before > 8 << 20
        wait_for(lambda: (private_bytes(worker) or 0) - before < (after - before) // 2)
        assert http.post("/v1/classify", content=digit(1)).status_code == 200


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    """Beyond the workers' hands and the queue, requests get 429 with Retry-After before their bodies are read."""
    options = ("--workers", "1", "--queue", "2")
    with running_agent(tmp_path / "data", *options) as agent, agent.http() as http:
        (worker,) = agent.workers()
        with ThreadPoolExecutor(8) as threads:
            with frozen(worker):
                replies = []
                for _ in range(6):
                    replies.append(threads.submit(http.post, "/v1/classify", content=digit(1)))
                    time.sleep(0.15)
                started = time.monotonic()
                refused = problem(http.post("/v1/classify", content=digit(1)))
                assert time.monotonic() - started < 5
            statuses = Counter(reply.result().status_code for reply in replies)
        assert (refused.status, refused.code) == (429, ErrorCode.QUEUE_FULL)
        assert statuses == {200: 4, 429: 2}  # one in work, one in hand, two queued


def test_images_in_memory_are_limited_together(tmp_path: Path) -> None:
    """Bodies that wait may not fill the memory, however few they are."""
    options = ("--workers", "1", "--max-held-bytes", str(3 << 20), "--queue-timeout-s", "1")
    with running_agent(tmp_path / "data", *options) as agent, agent.http() as http:
        (worker,) = agent.workers()
        body = digit(1) + bytes(2 << 20)
        with ThreadPoolExecutor(2) as threads, frozen(worker):
            first = threads.submit(http.post, "/v1/classify", content=body)
            time.sleep(0.5)
            assert problem(http.post("/v1/classify", content=body)).code == ErrorCode.OVERLOADED
            os.kill(worker, signal.SIGCONT)
            assert first.result().status_code == 200
        assert http.post("/v1/classify", content=body).status_code == 200


@pytest.mark.parametrize("fault", [signal.SIGSEGV, signal.SIGABRT])
def test_a_model_that_keeps_crashing_its_workers_is_refused(tmp_path: Path, fault: signal.Signals) -> None:
    """After three crashes on one model it is refused until it is uploaded again; others are not affected."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        lost = 0
        while lost < 3:
            wait_for(lambda: http.get("/health/ready").status_code == 200)
            (worker,) = agent.workers()
            with ThreadPoolExecutor(1) as threads, frozen(worker):
                reply = threads.submit(http.post, "/v1/classify", content=digit(1))
                time.sleep(0.3)
                os.kill(worker, fault)
                os.kill(worker, signal.SIGCONT)
                response = reply.result()
            if response.status_code == 200:  # on a busy machine it came after the worker's end, to its successor
                continue
            if problem(response).code == ErrorCode.MODEL_QUARANTINED:  # one of the ends met it while it was loaded
                break
            assert problem(response).code == ErrorCode.WORKER_LOST
            lost += 1
        found = problem(http.post("/v1/classify", content=digit(1)))
        assert (found.status, found.code) == (409, ErrorCode.MODEL_QUARANTINED)


def test_killed_workers_do_not_put_a_model_under_suspicion(tmp_path: Path) -> None:
    """SIGKILL comes from outside, so any number of them leaves the model usable."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        for _ in range(5):
            wait_for(agent.workers)
            for worker in agent.workers():
                os.kill(worker, signal.SIGKILL)
            wait_for(lambda: http.post("/v1/classify", content=digit(1)).status_code == 200)


def test_stopping_finishes_what_runs_and_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM: the request under way is answered, new connections are refused, no process stays."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        workers = agent.workers()
        with ThreadPoolExecutor(1) as threads:
            reply = threads.submit(http.post, "/v1/classify?decode=exact", content=slow_image())
            time.sleep(0.15)
            agent.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            with pytest.raises(httpx.TransportError), agent.http() as other:
                for _ in range(50):
                    other.get("/health/live")
                    time.sleep(0.02)
            assert reply.result().status_code == 200
        assert agent.process.wait(timeout=60) == 0
        wait_for(lambda: not any(alive(pid) for pid in workers))
        assert not (agent.data / "agent.json").exists()


def test_workers_end_when_their_agent_is_killed(tmp_path: Path) -> None:
    """Even SIGKILL of the agent leaves no worker behind."""
    with running_agent(tmp_path / "data") as agent:
        wait_for(lambda: len(agent.workers()) >= 1)
        workers = agent.workers()
        agent.process.kill()
        agent.process.wait()
        wait_for(lambda: not any(alive(pid) for pid in workers))


def test_ctrl_c_reaches_the_agent_alone(tmp_path: Path) -> None:
    """SIGINT to a worker does nothing: stopping is the agent's business."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent, agent.http() as http:
        (worker,) = agent.workers()
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
        assert http.post("/v1/classify", content=digit(1)).status_code == 200
        assert agent.workers() == [worker]


def test_a_second_agent_on_the_same_folder_does_not_start(tmp_path: Path) -> None:
    """Two agents would undo each other's work on the models."""
    with running_agent(tmp_path / "data", "--workers", "1"):
        command = [str(Path(sys.executable).with_name("server")), "--port", "0", "--data", str(tmp_path / "data")]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 3
    assert "another agent runs on" in second.stderr


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_load_goes_on_while_workers_are_killed(tmp_path: Path, kills: int) -> None:
    """Under steady load, killing workers costs as many answers as were in their hands, not more."""
    with running_agent(tmp_path / "data") as agent, agent.http() as http:
        stop = threading.Event()
        statuses: Counter[int] = Counter()

        def load() -> None:
            while not stop.is_set():
                statuses[http.post("/v1/classify", content=digit(1)).status_code] += 1

        with ThreadPoolExecutor(4) as threads:
            for _ in range(4):
                threads.submit(load)
            for _ in range(kills):
                time.sleep(1)
                victim = agent.workers()[0]
                os.kill(victim, signal.SIGKILL)
            time.sleep(1)
            stop.set()
        assert set(statuses) <= {200, 503}
        assert statuses[503] <= kills  # the one in work each time
        assert statuses[200] > 100


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

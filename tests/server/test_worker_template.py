"""Workers forked from one template: they share memory and nothing else, and whoever dies takes nobody along."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.workers.starting import ForkedWorker
from tests.agents import RunningAgent, running_agent, wait_for
from tests.images import digit
from tests.server.test_workers import alive, frozen

MIB = 1 << 20
THREAD_AT_IMPORT = """
import sys, threading, time
if any(word.startswith("server.workers") for word in sys.orig_argv):
    threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[RunningAgent]:
    with running_agent(tmp_path / "data", "--workers", "2") as running:
        wait_for(lambda: len(running.workers()) == 2 and workers_ready(running) == 2)
        yield running


def workers_ready(agent: RunningAgent) -> int:
    runtimes = agent.get("/v1/info").json()["runtimes"]
    return sum(each["workers"] for each in runtimes)


def memory(pid: int) -> dict[str, int]:
    """Bytes by kind, from smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in map(str.split, lines)}


def descriptors(pid: int) -> dict[str, set[int]]:
    """Inodes of open files by what they are; some memory is open twice, as a mapping keeps its own descriptor."""
    found: dict[str, set[int]] = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        name = str(entry.readlink()).split(":[")[0].removesuffix(" (deleted)")
        found.setdefault(name, set()).add(entry.stat().st_ino)
    return found


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_workers_share_what_their_template_imported(agent: RunningAgent) -> None:
    """Both, after work: a good part of the memory is the same pages, so that the second costs much less."""
    with agent.http() as http:
        for _ in range(10):
            assert http.post("/v1/classify", content=digit(1)).status_code == 200
    held = [memory(pid) for pid in agent.workers()]
    for each in held:
        assert each["Shared_Dirty"] > 8 * MIB  # changed since they were read from files: of workers alone it is none
    assert min(each["Pss"] for each in held) < 0.6 * max(each["Rss"] for each in held)


def test_a_worker_holds_its_own_descriptors_alone(agent: RunningAgent) -> None:
    """Nothing of the other worker, of the template or of the agent is open in it, also when it is the third one."""
    before = agent.workers()
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: len(set(agent.workers()) - set(before)) == 1 and workers_ready(agent) == 2)
    (template,) = agent.templates()
    assert {name: len(inodes) for name, inodes in descriptors(template).items()} == {"/dev/null": 1, "socket": 1}
    one, other = (descriptors(pid) for pid in agent.workers())
    for held in (one, other):
        assert {name: len(inodes) for name, inodes in held.items()} == {
            "/dev/null": 1,
            "pipe": 1,
            "socket": 1,
            "/memfd:edgerun-images": 1,
            "/memfd:edgerun-results": 1,
        }
    for name in ("pipe", "socket", "/memfd:edgerun-results"):
        assert one[name] != other[name]
    assert descriptors(template)["socket"] not in (one["socket"], other["socket"])


def test_forked_workers_are_confined_children_of_the_agent(agent: RunningAgent) -> None:
    """Each in a session of its own, without privileges to gain, unable to write files or a core."""
    for pid in agent.workers():
        assert status(pid)["PPid"] == str(agent.process.pid)
        assert status(pid)["NoNewPrivs"] == "1"
        assert os.getsid(pid) == pid
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        for name in ("Max file size", "Max core file size"):
            assert next(line for line in limits if line.startswith(name)).split()[-3:-1] == ["0", "0"]
        data = next(line for line in limits if line.startswith("Max data size"))
        assert "unlimited" not in data


def test_the_templates_end_ends_no_worker(agent: RunningAgent) -> None:
    """Both go on; when one of them ends later, a new template forks its successor."""
    workers, (template,) = agent.workers(), agent.templates()
    os.kill(template, signal.SIGKILL)
    with agent.http() as http:
        wait_for(lambda: not alive(template))
        assert http.post("/v1/classify", content=digit(1)).status_code == 200
        assert agent.workers() == workers
        os.kill(workers[0], signal.SIGKILL)
        wait_for(lambda: agent.templates() not in ([], [template]))
        wait_for(lambda: workers_ready(agent) == 2)
        assert http.post("/v1/classify", content=digit(1)).status_code == 200
    assert set(agent.workers()) & set(workers) == {workers[1]}


def test_how_a_forked_worker_ended_is_told(agent: RunningAgent) -> None:
    """The signal that ended it, though the agent did not start it itself."""
    victim = agent.workers()[0]
    os.kill(victim, signal.SIGSEGV)
    wait_for(lambda: f"worker {victim} is gone: ended by SIGSEGV" in agent.log())
    wait_for(lambda: workers_ready(agent) == 2)
    assert not Path(f"/proc/{victim}").exists()


def test_a_template_that_hangs_holds_up_nobody(agent: RunningAgent) -> None:
    """The other worker answers, and stopping ends all three."""
    workers, (template,) = agent.workers(), agent.templates()
    with frozen(template), agent.http() as http:
        os.kill(workers[0], signal.SIGKILL)
        for _ in range(5):
            wait_for(lambda: http.post("/v1/classify", content=digit(1)).status_code == 200)
        agent.process.terminate()
        assert agent.process.wait(timeout=60) == 0
        wait_for(lambda: not any(alive(pid) for pid in (*workers, template)))


def test_nothing_stays_when_the_agent_is_killed(agent: RunningAgent) -> None:
    """Template and workers die with it."""
    processes = [*agent.workers(), *agent.templates()]
    assert len(processes) == 3
    agent.process.kill()
    agent.process.wait()
    wait_for(lambda: not any(alive(pid) for pid in processes))


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_killing_all_of_them_under_load_costs_only_what_was_in_their_hands(agent: RunningAgent, kills: int) -> None:
    """Template and workers in turn: answers go on coming, and in the end all are there again, and no zombie."""
    stop, statuses = threading.Event(), Counter[int]()

    def load() -> None:
        with agent.http() as http:
            while not stop.is_set():
                statuses[http.post("/v1/classify", content=digit(1)).status_code] += 1

    with ThreadPoolExecutor(4) as threads:
        loads = [threads.submit(load) for _ in range(4)]
        for number in range(kills):
            time.sleep(0.5)
            for victim in agent.templates() if number % 2 else agent.workers()[:1]:
                os.kill(victim, signal.SIGKILL)
        time.sleep(0.5)
        stop.set()
        for each in loads:
            each.result()
    assert set(statuses) <= {200, 503}
    assert statuses[503] <= kills
    wait_for(lambda: workers_ready(agent) == 2)
    wait_for(lambda: len(agent.templates()) <= 1)
    gone = [pid for pid in children_of(agent.process.pid) if not alive(pid)]
    assert len(gone) <= 1  # a template that was killed: it is noted when the next worker is needed


def children_of(pid: int) -> list[int]:
    """Children, also those that have ended and were not noted."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_runtime_that_starts_threads_is_not_forked(tmp_path: Path) -> None:
    """A forked child would wait for them for ever: its workers are started one by one, and the log says why."""
    (tmp_path / "sitecustomize.py").write_text(THREAD_AT_IMPORT)
    variables = {"PYTHONPATH": str(tmp_path)}
    with running_agent(tmp_path / "data", "--workers", "2", variables=variables) as agent:
        wait_for(lambda: workers_ready(agent) == 2)
        assert agent.post("/v1/classify", digit(1)).status_code == 200
        assert "litert starts threads when it is imported: workers are started one by one" in agent.log()
        assert agent.templates() == []
        assert all(memory(pid)["Shared_Dirty"] < 1 * MIB for pid in agent.workers())


def test_one_worker_alone_has_no_template(tmp_path: Path) -> None:
    """There would be nobody to share with."""
    with running_agent(tmp_path / "data", "--workers", "1") as agent:
        assert agent.templates() == []


def test_a_process_id_that_is_not_a_childs_is_refused() -> None:
    """Whatever a worker says it is: what is not the agent's child it will not kill or wait for."""
    worker = ForkedWorker(None)  # type: ignore[arg-type]
    for pid in (1, os.getpid(), 1 << 22 | 1):
        with pytest.raises(ValueError, match="is not its own"):
            worker.introduce(pid)
    assert worker.pid is None

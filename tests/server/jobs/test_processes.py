"""Everything that a job started ends with it, however it made itself independent."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from contract.jobs import JobState
from contract.results import CommandResult
from server.jobs.processes import described, end_all, processes_of
from server.processes import control_group
from server.processes.process_tree import ProcessEntry, entry_of, send, snapshot
from tests.agents import RunningAgent, children, command_line, running_agent, wait_for
from tests.server.jobs.running import (
    OPTIONS,
    kill,
    lasting,
    living,
    result_of,
    shell,
    submit,
    wait_until_ended,
    wait_until_it_runs,
)

ESCAPE = "env -i setsid -f {0}; env -i setsid -f sh -c 'setsid -f {0}; {0}'; "
"""Processes in sessions of their own, orphans at once, with nothing in their environment."""
ESCAPED = 2
HYDRA = """import fcntl, os, sys
fcntl.flock(held := open(sys.argv[1]), fcntl.LOCK_EX)
for _ in range(4):
    if os.fork() == 0:
        while True:
            if os.fork():
                os._exit(0)
            os.setsid()
"""
"""Processes that live for a moment each and start the next one."""

LEADER = """import os, signal, sys
from server.processes.confinement import adopt_orphans
adopt_orphans()
sys.stdin.read()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sleep", sys.argv[1].split(), {})
    os._exit(0)
signal.pause()
"""
"""What waits for leave, then starts a process that leaves it, and stays."""


def zombies_of(parent: int) -> list[ProcessEntry]:
    """Children whose end nobody took note of."""
    return [each for each in snapshot().values() if each.parent == parent and not each.lives]


def host_of(agent: RunningAgent) -> int:
    """The process of the job that runs."""
    return next(pid for pid in children(agent.process.pid) if "server.jobs.host.main" in command_line(pid))


def test_what_has_left_is_ended_when_the_program_ends(worker_agent: RunningAgent) -> None:
    """The result says so."""
    with worker_agent.http() as http:
        job = wait_until_ended(http, submit(http, shell(ESCAPE.format(lasting(7111)) + "sleep 0.5")).id)
        found = result_of(http, job.id)
    assert living(lasting(7111)) == []
    assert job.state is JobState.SUCCEEDED
    assert isinstance(found, CommandResult)
    assert found.left_running >= ESCAPED


@pytest.mark.parametrize(("end", "number"), [("cancel", 7112), ("timeout", 7113)])
def test_what_has_left_is_ended_with_the_job(worker_agent: RunningAgent, end: str, number: int) -> None:
    """When somebody ends it, and at its time limit."""
    request = {**shell(ESCAPE.format(lasting(number)) + lasting(number)), "timeout_s": 60.0 if end == "cancel" else 5.0}
    with worker_agent.http() as http:
        job = submit(http, request)
        if end == "cancel":
            wait_for(lambda: len(living(lasting(number))) > ESCAPED)
            http.post(f"/v1/jobs/{job.id}/cancel").raise_for_status()
        ended = wait_until_ended(http, job.id)
    assert ended.state is (JobState.CANCELLED if end == "cancel" else JobState.FAILED)
    assert living(lasting(number)) == []


def test_what_has_left_is_ended_when_the_jobs_process_is_killed(worker_agent: RunningAgent) -> None:
    """As the kernel does it when memory runs out; the agent's own children live on."""
    with worker_agent.http() as http:
        job = submit(http, shell(ESCAPE.format(lasting(7114)) + lasting(7114)))
        wait_until_it_runs(http, job.id, "command")
        wait_for(lambda: len(living(lasting(7114))) > ESCAPED)
        workers = worker_agent.workers()
        os.kill(host_of(worker_agent), signal.SIGKILL)
        ended = wait_until_ended(http, job.id)
    assert (ended.state, ended.error is not None and ended.error.code) == (JobState.FAILED, "killed")
    assert living(lasting(7114)) == []
    assert worker_agent.workers() == workers
    wait_for(lambda: zombies_of(worker_agent.process.pid) == [])


def test_what_has_left_is_ended_when_the_agent_is_killed(tmp_path: Path) -> None:
    """At once, by the job's own process, before another agent starts."""
    with running_agent(tmp_path / "data", *OPTIONS) as agent, agent.http() as http:
        submit(http, shell(ESCAPE.format(lasting(7115)) + lasting(7115)))
        wait_for(lambda: len(living(lasting(7115))) > ESCAPED)
        kill(agent)
        wait_for(lambda: living(lasting(7115)) == [])


def test_processes_that_start_others_without_end_are_ended(worker_agent: RunningAgent, tmp_path: Path) -> None:
    """Faster than one could look at each, so a lock that all of them hold tells whether one lives."""
    lock = tmp_path / "lock"
    lock.touch()
    with worker_agent.http() as http, lock.open("r+") as file:
        job = submit(http, shell(f"env -i $(which python3) -c '{HYDRA}' {lock}; sleep 600"))
        wait_for(lambda: not _is_free(file))
        http.post(f"/v1/jobs/{job.id}/cancel").raise_for_status()
        assert wait_until_ended(http, job.id).state is JobState.CANCELLED
        assert _is_free(file)
        assert wait_until_ended(http, submit(http, shell("true")).id).state is JobState.SUCCEEDED


def _is_free(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


@pytest.mark.parametrize("how", ["tree", "group"])
def test_each_way_of_finding_is_enough_alone(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where groups are not delegated the tree is; once agent and job's process have died, the group is."""
    if how == "tree":
        monkeypatch.setattr(control_group, "_own_groups", lambda: iter(()))
    command = [sys.executable, "-c", LEADER, lasting(7117), "is what it starts"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as leader:
        try:
            group = control_group.make_group(f"test-{os.getpid()}", leader.pid)
            if how == "group" and group is None:
                pytest.skip("this process may not make control groups")
            stored = described(leader.pid, group)
            assert leader.stdin is not None
            leader.stdin.close()
            wait_for(lambda: len(living(lasting(7117))) == 1)
            if how == "group":  # what it left is another's now, with a session of its own and an empty environment
                leader.kill()
                leader.wait()
                assert len(processes_of("no such job", stored)) == 1
            assert end_all("no such job", stored)
            assert living(lasting(7117)) == []
            assert group is None or not group.exists()
        finally:
            leader.kill()


def test_a_later_process_of_the_same_id_is_left_alone() -> None:
    """A signal goes to the process that was found."""
    mine = entry_of(os.getpid())
    send(ProcessEntry(**{**vars(mine), "started_ticks": mine.started_ticks - 1}), signal.SIGKILL)
    assert entry_of(os.getpid()) is not None

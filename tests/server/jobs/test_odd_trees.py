"""Whatever a program leaves, its job is settled and the next one runs; also where the agent dies meanwhile."""

import os
import random
import time
from pathlib import Path

import httpx
import pytest

from contract.jobs import JobState
from contract.results import CommandResult
from tests.agents import running_agent, wait_for
from tests.server.jobs.odd_trees import odd_tree
from tests.server.jobs.running import OPTIONS, command, job_of, kill, result_of, shell, submit, wait_until_ended
from tests.server.jobs.small_disk import fill, small_disk

SEED = 10
DISK_BYTES = 48 << 20
"""Of a disk that is filled."""


@pytest.mark.parametrize("count", [24, pytest.param(300, marks=pytest.mark.slow)])
def test_every_odd_tree_ends_in_a_settled_job(tmp_path: Path, decoy: Path, count: int) -> None:
    """Its result is there where the program ran, its artefacts can be fetched, and the agent is ready."""
    states = dict.fromkeys(JobState, 0)
    with running_agent(tmp_path / "data", *OPTIONS) as agent, agent.http() as http:
        for number in range(count):
            job = submit(http, command(*odd_tree(number).argv, env={"DECOY": str(decoy)}))
            ended = wait_until_ended(http, job.id, timeout_s=300)
            states[ended.state] += 1
            assert ended.state in (JobState.SUCCEEDED, JobState.FAILED), (number, ended)
            assert ended.error is None or ended.error.code in ("exit_code", "killed"), (number, ended)
            for path in ("", "/logs", "/telemetry", "/artifacts", "/events"):
                assert http.get(f"/v1/jobs/{job.id}{path}").status_code in (200, 404), (number, path)
            assert isinstance(result_of(http, job.id), CommandResult), number
            assert agent.get("/health/ready").status_code == 200, number
        assert wait_until_ended(http, submit(http, shell("true")).id).state is JobState.SUCCEEDED
        assert "Traceback" not in agent.log()
    print(f"{count} trees: {', '.join(f'{number} {state}' for state, number in states.items() if number)}")


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_every_restart_comes_up_ready(tmp_path: Path, decoy: Path, kills: int) -> None:
    """The agent is killed at a random moment while such jobs run and are settled; none is lost, all end."""
    source = random.Random(SEED)
    data, ids, number = tmp_path / "data", list[str](), 0
    for _ in range(kills):
        with running_agent(data, *OPTIONS) as agent, agent.http() as http:
            waiting = sum(not job_of(http, job_id).state.ended for job_id in ids)
            for _ in range(4 - min(4, waiting)):
                ids.append(submit(http, command(*odd_tree(number).argv, env={"DECOY": str(decoy)})).id)
                number += 1
            time.sleep(source.uniform(0.0, 3.0))
            kill(agent)
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        ended = [wait_until_ended(http, job_id, timeout_s=300) for job_id in ids]
        assert wait_until_ended(http, submit(http, shell("true")).id).state is JobState.SUCCEEDED
        assert sorted(path.name for path in (data / "work").iterdir()) == []
    states = [job.state for job in ended]
    assert states.count(JobState.INTERRUPTED) <= kills
    print(f"{kills} kills, {len(ids)} jobs: {', '.join(f'{states.count(each)} {each}' for each in set(states))}")


def fills(where: str) -> dict[str, object]:
    """A job that fills the disk and does not mind."""
    return shell(f"cat /dev/zero > {where}; echo that was all; exit 0")


def assert_it_was_settled_for_want_of_room(http: httpx.Client, job_id: str) -> None:
    ended = wait_until_ended(http, job_id)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "storage_full"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
@pytest.mark.parametrize("where", ["$OUTPUT/big", "$HOME/big", "/dev/stdout"])
def test_a_job_that_fills_the_disk_is_settled_and_the_next_one_runs(tmp_path: Path, where: str) -> None:
    """What it left is dropped with a note, its log is cut, and nothing of it is in the way of others."""
    data = tmp_path / "data"
    with small_disk(data, DISK_BYTES), running_agent(data, *OPTIONS) as agent, agent.http() as http:
        for _ in range(2):
            job = submit(http, fills(where))
            assert_it_was_settled_for_want_of_room(http, job.id)
            found = result_of(http, job.id)
            assert isinstance(found, CommandResult)
            assert found.artifacts == []
            assert "the disk was full" in found.artifacts_left_out[0]
        assert wait_until_ended(http, submit(http, shell("echo x > $OUTPUT/x")).id).state is JobState.SUCCEEDED
        assert agent.get("/health/ready").json()["notes"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_an_agent_comes_up_on_a_full_disk(tmp_path: Path) -> None:
    """It answers, lists and refuses what is new with the reason; when there is room it goes on."""
    data = tmp_path / "data"
    with small_disk(data, DISK_BYTES):
        with running_agent(data, *OPTIONS) as agent, agent.http() as http:
            job = submit(http, shell(f"touch {tmp_path}/runs; sleep 600"))
            waiting = submit(http, shell("true"))
            wait_for((tmp_path / "runs").exists)
            kill(agent)
        fill(data / "filler")
        with running_agent(data, *OPTIONS) as agent, agent.http() as http:
            assert job_of(http, job.id).state in (JobState.INTERRUPTED, JobState.FAILED)
            assert job_of(http, waiting.id).state is JobState.QUEUED
            refused = http.post("/v1/jobs", json=shell("true"))
            assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
            digest = "sha256:" + "0" * 64
            assert http.put(f"/v1/blobs/{digest}", content=b"content").status_code == 507
            assert http.get("/v1/models").status_code == 200
            assert "MiB are free" in agent.get("/health/ready").json()["notes"][0]
            assert "MiB are free" in http.get("/v1/info").json()["notes"][0]
            (data / "filler").unlink()
            assert wait_until_ended(http, waiting.id).state is JobState.SUCCEEDED
            assert agent.get("/health/ready").json()["notes"] == []

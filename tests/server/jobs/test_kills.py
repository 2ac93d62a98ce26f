"""Kill the agent at random moments, again and again: no acknowledged job is lost, and no stored result."""

import json
import random
import threading
import time
from pathlib import Path

import httpx
import pytest

from contract.jobs import JobState
from tests.agents import RunningAgent, running_agent
from tests.server.jobs.running import benchmark, job_of, kill, listed, result_of, wait_until_ended

SEED = 11


@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_is_lost_however_often_the_agent_is_killed(tmp_path: Path, kills: int) -> None:
    """Jobs are submitted all the time; after each kill every one that was acknowledged is there."""
    source = random.Random(SEED)
    data, acknowledged, results = tmp_path / "data", set[str](), dict[str, bytes]()
    for number in range(kills):
        with running_agent(data, "--workers", "1") as agent:
            _check(agent, acknowledged, results)
            stop = threading.Event()
            submitter = threading.Thread(target=_submit, args=(agent, acknowledged, stop, number))
            submitter.start()
            time.sleep(source.uniform(0.0, 1.2))
            kill(agent)
            stop.set()
            submitter.join()
    with running_agent(data, "--workers", "1") as agent, agent.http() as http:
        _check(agent, acknowledged, results)
        for job_id in acknowledged:
            wait_until_ended(http, job_id, timeout_s=600)
        ended = {job_id: job_of(http, job_id).state for job_id in acknowledged}
        assert set(ended.values()) <= {JobState.SUCCEEDED, JobState.INTERRUPTED}
        interrupted = list(ended.values()).count(JobState.INTERRUPTED)
        assert interrupted <= kills
        for job_id, state in ended.items():
            if state is JobState.SUCCEEDED:
                assert result_of(http, job_id).complete
    print(f"{kills} kills, {len(acknowledged)} jobs acknowledged, {interrupted} of them interrupted")


def _submit(agent: RunningAgent, acknowledged: set[str], stop: threading.Event, number: int) -> None:
    with agent.http() as http:
        while not stop.is_set():
            try:
                answer = http.post("/v1/jobs", json={**benchmark(duration_s=0.3, window_s=0.1), "name": f"{number}"})
            except httpx.TransportError:
                return
            if answer.status_code == 202:
                acknowledged.add(json.loads(answer.content)["id"])
            time.sleep(0.25)


def _check(agent: RunningAgent, acknowledged: set[str], results: dict[str, bytes]) -> None:
    """Every acknowledged job is listed, every result that was seen once is there unchanged."""
    with agent.http() as http:
        seen, before = set[str](), ""
        while True:
            page = listed(http, f"?limit=500{before}")
            for job in page.jobs:
                seen.add(job.id)
                if job.state is JobState.SUCCEEDED:
                    content = http.get(f"/v1/jobs/{job.id}/result").raise_for_status().content
                    assert results.setdefault(job.id, content) == content
            if page.next is None:
                break
            before = f"&before={page.next}"
        assert acknowledged <= seen
        assert set(results) <= seen

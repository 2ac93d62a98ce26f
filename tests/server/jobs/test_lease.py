"""The lease of a device: told to the agent, counted down, and no job is begun that outlasts it."""

import pytest

from contract.codes import ErrorCode
from contract.jobs import JobState
from contract.lease import LeaseTime
from tests.agents import RunningAgent
from tests.server.jobs.running import benchmark, shell, submit, wait_until_ended
from tests.server.test_classify import problem


def lease_of(agent: RunningAgent, left_s: float | None = None) -> LeaseTime:
    """What the agent says of its lease, after it was told when it is given."""
    with agent.http() as http:
        answer = http.get("/v1/lease") if left_s is None else http.put("/v1/lease", json={"left_s": left_s})
        return LeaseTime.model_validate_json(answer.raise_for_status().content)


def test_what_outlasts_the_lease_is_refused(worker_agent: RunningAgent) -> None:
    """With both lengths; what is short enough, and what nobody knows the length of, is done."""
    assert lease_of(worker_agent).left_s is None
    try:
        told = lease_of(worker_agent, 60).left_s
        assert told is not None
        assert 0 < (lease_of(worker_agent).left_s or 0) <= told <= 60
        with worker_agent.http() as http:
            refused = http.post("/v1/jobs", json=benchmark(duration_s=600))
            assert (refused.status_code, problem(refused).code) == (409, ErrorCode.LEASE_TOO_SHORT)
            assert "measures for 600 s" in problem(refused).detail
            for request in (benchmark(duration_s=0.2), shell("true")):
                assert wait_until_ended(http, submit(http, request).id).state is JobState.SUCCEEDED
    finally:
        with worker_agent.http() as http:
            http.put("/v1/lease", json={"left_s": None})
    assert lease_of(worker_agent).left_s is None


def test_an_end_that_went_by_refuses_nothing(worker_agent: RunningAgent) -> None:
    """The device is still here, so somebody put the end off without a word to the agent."""
    assert lease_of(worker_agent, 0).left_s is None
    with worker_agent.http() as http:
        submit(http, benchmark(duration_s=0.2))


@pytest.mark.parametrize("body", ['{"left_s": -1}', '{"left_s": NaN}', '{"left_s": 1e300}', "{}", '{"left_s":1,"x":1}'])
def test_what_is_no_span_is_refused(worker_agent: RunningAgent, body: str) -> None:
    """And changes nothing."""
    with worker_agent.http() as http:
        assert http.put("/v1/lease", content=body, headers={"content-type": "application/json"}).status_code == 422
    assert lease_of(worker_agent).left_s is None

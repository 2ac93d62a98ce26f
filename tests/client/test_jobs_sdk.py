"""Jobs through the SDK against a real agent."""

import uuid

import pytest

from client import EdgeClient, Refused
from contract.codes import ErrorCode
from contract.jobs import BenchmarkRequest, CommandRequest, JobState
from contract.results import BenchmarkResult
from contract.specs import BenchmarkSpec, CommandSpec
from tests.agents import RunningAgent
from tests.agents import wait_for as wait_until

QUICK = BenchmarkRequest(name="quick", spec=BenchmarkSpec(model="digits", iterations=50))
SLEEP = CommandRequest(name="sleep", spec=CommandSpec(argv=["sleep", "60"]))


def ended(client: EdgeClient, job_id: str) -> bool:
    return client.job(job_id).state.ended


def test_a_job_from_submission_to_removal(job_agent: RunningAgent) -> None:
    """State, result, telemetry; gone after its removal."""
    with EdgeClient(job_agent.host) as client:
        job = client.submit(QUICK)
        wait_until(lambda: ended(client, job.id))
        result = client.job_result(job.id)
        assert isinstance(result, BenchmarkResult)
        assert (result.iterations, len(result.samples_ms)) == (50, 50)
        assert client.job_telemetry(job.id).t_s
        assert any(each.id == job.id for each in client.jobs(states=[JobState.SUCCEEDED]).jobs)
        client.delete_job(job.id)
        with pytest.raises(Refused) as caught:
            client.job(job.id)
    assert caught.value.problem.code == ErrorCode.UNKNOWN_JOB


def test_the_same_key_is_the_same_job(job_agent: RunningAgent) -> None:
    """Handing in twice with a key gives one job; another request with it is refused."""
    key = uuid.uuid4().hex
    with EdgeClient(job_agent.host) as client:
        first, second = client.submit(QUICK, key), client.submit(QUICK, key)
        assert first.id == second.id
        with pytest.raises(Refused) as caught:
            client.submit(SLEEP, key)
        assert caught.value.problem.code == ErrorCode.IDEMPOTENCY_CONFLICT
        assert client.submit(QUICK).id != first.id
        wait_until(lambda: not client.jobs(states=[JobState.QUEUED, JobState.RUNNING]).jobs)


def test_pages_and_cancelling(job_agent: RunningAgent) -> None:
    """Pages follow one another without overlap; cancelling twice is fine, deleting a running one is not."""
    with EdgeClient(job_agent.host) as client:
        jobs = [client.submit(SLEEP) for _ in range(3)]
        first = client.jobs(limit=2)
        second = client.jobs(limit=2, before=first.next)
        assert [job.id for job in first.jobs] == [jobs[2].id, jobs[1].id]
        assert second.jobs[0].id == jobs[0].id
        with pytest.raises(Refused) as caught:
            client.delete_job(jobs[2].id)
        assert caught.value.problem.code == ErrorCode.JOB_ACTIVE
        with pytest.raises(Refused) as caught:
            client.job_result(jobs[0].id)
        assert caught.value.problem.code == ErrorCode.JOB_NOT_ENDED
        for job in reversed(jobs):
            client.cancel_job(job.id)
            client.cancel_job(job.id)
        wait_until(lambda: all(client.job(job.id).state is JobState.CANCELLED for job in jobs))

"""Submit jobs to a real agent over HTTP and wait for them."""

import os
from typing import Any

import httpx

from contract.jobs import Job, JobList
from contract.results import AnyResult, job_result
from server.processes.process_tree import snapshot
from tests.agents import RunningAgent, command_line, wait_for

OPTIONS = ("--workers", "1", "--allow-commands", "on")


def kill(agent: RunningAgent) -> None:
    """SIGKILL, as the kernel does it when memory runs out."""
    agent.process.kill()
    agent.process.wait()
    (agent.data / "agent.json").unlink(missing_ok=True)


def lasting(number: int) -> str:
    """A sleep of its own, told from all that other runs of the tests start on this machine."""
    return f"sleep {number}.{os.getpid()}"


def living(words: str) -> list[int]:
    """Processes whose command line is, or ends with, these words."""
    return [each.pid for each in snapshot().values() if each.lives and command_line(each.pid).strip().endswith(words)]


def listed(http: httpx.Client, query: str = "") -> JobList:
    """A page of the list of jobs."""
    return JobList.model_validate_json(http.get(f"/v1/jobs{query}").raise_for_status().content)


def benchmark(**spec: Any) -> dict[str, Any]:
    """A request to measure the embedded model."""
    return {"kind": "benchmark", "spec": {"model": "digits", **spec}}


def command(*argv: str, **spec: Any) -> dict[str, Any]:
    """A request to run a program."""
    return {"kind": "command", "spec": {"argv": list(argv), **spec}}


def shell(script: str, **spec: Any) -> dict[str, Any]:
    """A request to run a shell script."""
    return command("sh", "-c", script, **spec)


def submit(http: httpx.Client, request: dict[str, Any], **headers: str) -> Job:
    """Submit a job that is accepted."""
    response = http.post("/v1/jobs", json=request, headers=headers)
    assert response.status_code in (200, 202), response.text
    return Job.model_validate_json(response.content)


def job_of(http: httpx.Client, job_id: str) -> Job:
    """A job as it is now."""
    return Job.model_validate_json(http.get(f"/v1/jobs/{job_id}").raise_for_status().content)


def wait_until_ended(http: httpx.Client, job_id: str, timeout_s: float = 60.0) -> Job:
    """A job, once it has ended."""
    wait_for(lambda: job_of(http, job_id).state.ended, timeout_s)
    return job_of(http, job_id)


def wait_until_it_runs(http: httpx.Client, job_id: str, phase: str) -> None:
    """Wait until a job is in a phase."""

    def there() -> bool:
        job = job_of(http, job_id)
        assert not job.state.ended, job
        return job.progress is not None and job.progress.phase == phase

    wait_for(there)


def result_of(http: httpx.Client, job_id: str) -> AnyResult:
    """The result of an ended job."""
    return job_result.validate_json(http.get(f"/v1/jobs/{job_id}/result").raise_for_status().content)


def run(agent: RunningAgent, request: dict[str, Any]) -> tuple[Job, AnyResult]:
    """Submit a job and give it and its result once it has ended."""
    with agent.http() as http:
        job = wait_until_ended(http, submit(http, request).id)
        return job, result_of(http, job.id)

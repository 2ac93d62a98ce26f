"""The requests around jobs and telemetry, described once for both clients."""

from collections.abc import Iterable

from client.calls import JSON_HEADERS, PUT_MODEL_TIMEOUT_S, Call, reply_as
from contract import paths
from contract.jobs import AnyRequest, Job, JobList, JobState
from contract.results import AnyResult
from contract.results import job_result as any_result
from contract.telemetry import Telemetry, TelemetrySample


def submit(request: AnyRequest, key: str) -> Call[Job]:
    """Hand in a job. The agent knows it again by its key, so it may be sent twice."""
    headers = {**JSON_HEADERS, paths.IDEMPOTENCY_KEY_HEADER: key}
    body = request.model_dump_json(exclude_none=True).encode()
    # Before it answers the agent may have to write and try the model.
    return Call("POST", paths.JOBS, reply_as(Job), headers=headers, body=body, timeout_s=PUT_MODEL_TIMEOUT_S)


def jobs(limit: int, before: int | None, states: Iterable[JobState]) -> Call[JobList]:
    """A page of jobs, newest first."""
    params: dict[str, int | list[str]] = {"limit": limit, "state": [state.value for state in states]}
    if before is not None:
        params["before"] = before
    return Call("GET", paths.JOBS, reply_as(JobList), params=params)


def job(job_id: str) -> Call[Job]:
    """One job's state."""
    return Call("GET", paths.JOB.format(id=job_id), reply_as(Job))


def cancel_job(job_id: str) -> Call[Job]:
    """End a job; on one that has ended nothing happens."""
    return Call("POST", paths.JOB_CANCEL.format(id=job_id), reply_as(Job))


def delete_job(job_id: str) -> Call[None]:
    """Remove a job that has ended and everything it left. Not repeated by itself, as with models."""
    return Call("DELETE", paths.JOB.format(id=job_id), lambda _: None, repeatable=False)


def job_result(job_id: str) -> Call[AnyResult]:
    """What a job found."""
    return Call("GET", paths.JOB_RESULT.format(id=job_id), lambda reply: any_result.validate_json(reply.content))


def job_telemetry(job_id: str) -> Call[Telemetry]:
    """What the sensors said beside a job, so far."""
    return Call("GET", paths.JOB_TELEMETRY.format(id=job_id), reply_as(Telemetry))


def telemetry() -> Call[TelemetrySample]:
    """The newest sample of the device."""
    return Call("GET", paths.TELEMETRY, reply_as(TelemetrySample))

"""The requests around jobs and telemetry, described once for both clients."""

from collections.abc import Iterable

from client.sdk.answers import LARGE_MAX_BYTES, document, nothing, reply_as
from client.sdk.calls import JSON_HEADERS, PUT_MODEL_TIMEOUT_S, Call, about, located
from contract import paths
from contract.jobs import AnyRequest, Job, JobList, JobState
from contract.results import AnyResult
from contract.results import job_result as any_result
from contract.telemetry import Telemetry, TelemetrySample


def submit(request: AnyRequest, key: str) -> Call[Job]:
    """Submit a job. The agent knows it again by its key, so it may be sent twice."""
    headers = {**JSON_HEADERS, paths.IDEMPOTENCY_KEY_HEADER: key}
    body = request.model_dump_json(exclude_none=True).encode()
    # Before it answers the agent may have to write and try the model.
    return Call("POST", paths.JOBS, reply_as(Job), headers=headers, body=body, timeout_s=PUT_MODEL_TIMEOUT_S)


def jobs(limit: int, before: int | None, states: Iterable[JobState]) -> Call[JobList]:
    """A page of jobs, newest first."""
    params: dict[str, int | list[str]] = {"limit": limit, "state": [state.value for state in states]}
    if before is not None:
        params["before"] = before
    return Call("GET", paths.JOBS, reply_as(JobList), params=params, bytes_max=LARGE_MAX_BYTES)


def job(job_id: str) -> Call[Job]:
    """One job's state."""
    return Call("GET", located(paths.JOB, id=job_id), about(Job, "id", job_id))


def cancel_job(job_id: str) -> Call[Job]:
    """End a job; on one that has ended nothing happens."""
    return Call("POST", located(paths.JOB_CANCEL, id=job_id), about(Job, "id", job_id))


def delete_job(job_id: str) -> Call[None]:
    """Remove a job that has ended and everything it left. Not repeated by itself, as with models."""
    return Call("DELETE", located(paths.JOB, id=job_id), nothing, repeatable=False)


def job_result(job_id: str) -> Call[AnyResult]:
    """What a job found."""
    path = located(paths.JOB_RESULT, id=job_id)
    return Call("GET", path, lambda answer: any_result.validate_python(document(answer)), bytes_max=LARGE_MAX_BYTES)


def job_telemetry(job_id: str) -> Call[Telemetry]:
    """What the sensors said beside a job, so far."""
    return Call("GET", located(paths.JOB_TELEMETRY, id=job_id), reply_as(Telemetry), bytes_max=LARGE_MAX_BYTES)


def telemetry() -> Call[TelemetrySample]:
    """The newest sample of the device."""
    return Call("GET", paths.TELEMETRY, reply_as(TelemetrySample))

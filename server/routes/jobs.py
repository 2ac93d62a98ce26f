"""Jobs: submit, follow, fetch, cancel, remove."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response, status
from fastapi.responses import StreamingResponse

from contract.codes import ErrorCode
from contract.jobs import PAGE_MAX, Job, JobList, JobRequest, JobState
from contract.paths import (
    JOB,
    JOB_ARTIFACTS,
    JOB_CANCEL,
    JOB_EVENTS,
    JOB_LOGS,
    JOB_RESULT,
    JOB_TELEMETRY,
    JOBS,
)
from contract.results import AnyResult
from contract.specs import NUMBER_MAX
from contract.tables import telemetry_lines
from contract.telemetry import Telemetry
from contract.text import Name
from server.agent import Agent
from server.errors import AgentError
from server.http.callers import keep_changed
from server.http.openapi import header
from server.http.sse import KEEP_ALIVE, KEEP_ALIVE_S, MEDIA_TYPE, event
from server.jobs.archive import RESULT_NAME
from server.jobs.record.artifacts import list_so_far
from server.jobs.record.files import follow_log, stream_tar
from server.routes import AgentDependency, content, events, problems, unchanged
from server.telemetry.recorder import load_recording

router = APIRouter(tags=["jobs"])

JSON = "application/json"
CSV = "text/csv"
TAR = "application/x-tar"
OFFSET_MAX = 1 << 62
SINCE_MAX_S = 1e12
LOCATION = header("Location", "Path of the job")
TAG = header("ETag", "For `If-None-Match`")

Key = Annotated[Name | None, Header(alias="Idempotency-Key", min_length=1)]


@router.post(
    JOBS,
    operation_id="submit_job",
    status_code=status.HTTP_202_ACCEPTED,
    responses={
        **problems(404, 409, 422, 429, 507),
        **unchanged(Job, "The key was used before, for this job", LOCATION),
        status.HTTP_202_ACCEPTED: {"headers": LOCATION},
    },
)
async def submit_job(
    request: JobRequest, agent: AgentDependency, response: Response, http: Request, key: Key = None
) -> Job:
    """Store a job; it is run when its turn comes. With a key that was used before, 200 and the job it was used for."""
    agent.room.require()
    if request.kind != "command":
        await agent.synthetic.ensure(request.spec.model)
    job, created = await agent.jobs.submit(request, key)
    keep_changed(http.scope, f"{job.id} ({request.kind})")
    response.status_code = status.HTTP_202_ACCEPTED if created else status.HTTP_200_OK
    response.headers["location"] = JOB.format(id=job.id)
    return job


@router.get(
    JOBS,
    operation_id="list_jobs",
    response_model=JobList,
    responses={
        **problems(422),
        200: {"headers": TAG},
        304: {"description": "Nothing changed since the tag was given", "headers": TAG},
    },
)
async def list_jobs(
    agent: AgentDependency,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    before: Annotated[int | None, Query(ge=1, le=NUMBER_MAX)] = None,
    state: Annotated[list[JobState], Query()] = [],  # noqa: B006
    known: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """A page of jobs without what was asked of them, newest first; `next` is the value of `before` for the next one.

    A page has fewer jobs than `limit` where it would become large. Its ETag is a weak one: progress alone does not
    change it.
    """
    tag = agent.jobs.tag
    if known == tag:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers={"etag": tag})
    page = await agent.jobs.page(limit, before, state)
    return Response(await asyncio.to_thread(page.model_dump_json), media_type=JSON, headers={"etag": tag})


@router.get(JOB, operation_id="get_job", responses=problems(404, 422))
async def get_job(id: str, agent: AgentDependency) -> Job:
    """A job's state, with its progress while it runs."""
    return await agent.jobs.get(id)


@router.post(JOB_CANCEL, operation_id="cancel_job", responses=problems(404, 422, 429, 507))
async def cancel_job(id: str, agent: AgentDependency) -> Job:
    """End a job that waits or runs, with every process it started; what it had measured is kept."""
    return await agent.jobs.cancel(id)


@router.delete(
    JOB, operation_id="delete_job", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404, 409, 422, 507)
)
async def delete_job(id: str, agent: AgentDependency) -> None:
    """Remove an ended job and everything it left."""
    await agent.jobs.delete(id)


@router.get(
    JOB_EVENTS,
    operation_id="watch_job",
    response_class=StreamingResponse,
    responses={**problems(404, 422), **events("state", "progress", "window")},
)
async def watch_job(
    id: str, agent: AgentDependency, last: Annotated[int, Header(alias="Last-Event-ID", ge=0, le=NUMBER_MAX)] = 0
) -> StreamingResponse:
    """What happens, as server-sent events: `state` (Job), `progress` (Progress), `window` (Window, with an id)."""
    await agent.jobs.get(id)
    return StreamingResponse(_events(agent, id, last), media_type=MEDIA_TYPE)


async def _events(agent: Agent, job_id: str, after: int) -> AsyncIterator[bytes]:
    async for each in agent.jobs.watch(job_id, after, KEEP_ALIVE_S):
        yield KEEP_ALIVE if each is None else event(each.name, each.text, each.number)


@router.get(
    JOB_LOGS,
    operation_id="job_logs",
    response_class=StreamingResponse,
    responses={**problems(404, 410, 422), **content("text/plain")},
)
async def job_logs(
    id: str,
    agent: AgentDependency,
    stream: Literal["stdout", "stderr"] = "stdout",
    offset: Annotated[int, Query(ge=0, le=OFFSET_MAX)] = 0,
    follow: bool = False,
) -> StreamingResponse:
    """What a program printed, from a byte on; with `follow` until the job has ended."""
    files = await agent.jobs.files(id, ended=False)

    async def running() -> bool:
        return follow and not agent.draining and not (await agent.jobs.get(id)).state.ended

    log = follow_log(lambda: files.open(id, f"{stream}.log"), offset, running)
    return StreamingResponse(log, media_type="text/plain")


@router.get(
    JOB_TELEMETRY,
    operation_id="job_telemetry",
    response_model=Telemetry,
    responses={**problems(404, 410, 422), **content(CSV)},
)
async def job_telemetry(id: str, agent: AgentDependency, format: Literal["json", "csv"] = "json") -> Response:
    """What the sensors said while the job ran; so far, while it runs."""
    files = await agent.jobs.files(id, ended=False)
    recorded = agent.jobs.running_telemetry(id) or await asyncio.to_thread(load_recording, files.path(id))
    if recorded is None:
        raise AgentError(ErrorCode.NO_RESULT, f"job {id} has no telemetry")
    if format == "csv":
        return Response("".join(telemetry_lines(recorded)), media_type=CSV)
    return Response(recorded.model_dump_json(), media_type=JSON)


@router.get(JOB_RESULT, operation_id="job_result", response_model=AnyResult, responses=problems(404, 409, 410, 422))
async def job_result(id: str, agent: AgentDependency) -> Response:
    """What a job found; of one that was cut off, as far as it came."""
    files = await agent.jobs.files(id, ended=True)
    content = await asyncio.to_thread(files.read, id, RESULT_NAME)
    if content is None:
        raise AgentError(ErrorCode.NO_RESULT, f"job {id} ended before it had measured anything")
    return Response(content, media_type=JSON)


@router.get(
    JOB_ARTIFACTS,
    operation_id="job_artifacts",
    response_class=StreamingResponse,
    responses={**problems(404, 409, 410, 422), **content(TAR)},
)
async def job_artifacts(
    id: str, agent: AgentDependency, changed_since: Annotated[float | None, Query(ge=0, le=SINCE_MAX_S)] = None
) -> Response:
    """The files that a program left in `$OUTPUT`, as a tar.

    With `changed_since` also those of a program that still runs, as they are now: what was changed since then, in
    seconds since the epoch by the agent's clock; 0 for all.
    """
    files = await agent.jobs.files(id, ended=changed_since is None)
    if changed_since is not None and not (await agent.jobs.get(id)).state.ended:
        found = partial(list_so_far, changed_since_s=changed_since, max_bytes=agent.settings.max_jobs_bytes)
        if not await asyncio.to_thread(files.has_output, id):
            raise AgentError(ErrorCode.NO_RESULT, f"job {id} has no files yet")
        return StreamingResponse(stream_tar(lambda: files.output(id), found), media_type=TAR)
    if not await asyncio.to_thread(files.has_artifacts, id):
        raise AgentError(ErrorCode.NO_RESULT, f"job {id} left no files")
    return StreamingResponse(stream_tar(lambda: files.artifacts(id)), media_type=TAR)

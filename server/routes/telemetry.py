"""What the device's sensors say now."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from contract.paths import TELEMETRY, TELEMETRY_STREAM
from contract.telemetry import DEFAULT_INTERVAL_S, INTERVAL_MAX_S, INTERVAL_MIN_S, TelemetrySample
from server.http.sse import MEDIA_TYPE, event, kept_alive
from server.routes import AgentDependency, events, problems
from server.telemetry.live import PAST_MAX_S

router = APIRouter(tags=["telemetry"])

Interval = Annotated[
    float,
    Query(ge=INTERVAL_MIN_S, le=INTERVAL_MAX_S, description="seconds between samples; the sampler's own beat is 1 s"),
]
Past = Annotated[
    float,
    Query(ge=0, le=PAST_MAX_S, description="begin with an event `past`: a list of the samples of so many seconds"),
]

_STREAM: dict[str, Any] = {
    "responses": {**problems(422), **events("past", "sample")},
    "response_class": StreamingResponse,
}


@router.get(TELEMETRY, operation_id="telemetry")
async def telemetry(agent: AgentDependency) -> TelemetrySample:
    """The newest sample of every sensor. The first call starts the sampler and takes a moment longer."""
    return await agent.telemetry.latest()


@router.get(TELEMETRY_STREAM, operation_id="telemetry_stream", **_STREAM)
async def stream(
    agent: AgentDependency, interval_s: Interval = DEFAULT_INTERVAL_S, past_s: Past = 0.0
) -> StreamingResponse:
    """Samples as server-sent events until the reader hangs up: `past` (list), `sample`, `info` only in the first."""
    past = agent.telemetry.past(past_s) if past_s > 0 else None
    sent = _events(past, agent.telemetry.texts(interval_s))
    headers = {"x-accel-buffering": "no"}  # a proxy in between must not collect them
    return StreamingResponse(kept_alive(sent), media_type=MEDIA_TYPE, headers=headers)


async def _events(past: str | None, texts: AsyncGenerator[str, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(texts):
        if past is not None:
            yield event("past", past)
        async for text in texts:
            yield event("sample", text)

"""Metrics for Prometheus, and for whatever else reads its formats."""

from typing import Any

from fastapi import APIRouter, Request, Response

from contract.paths import METRICS
from server.metrics.exposition import OPENMETRICS, TEXT
from server.routes import agent_of

router = APIRouter(tags=["metrics"])

_SCHEMA = {"schema": {"type": "string"}}
_DESCRIBED: dict[str, Any] = {
    "responses": {
        200: {
            "content": {TEXT.split(";")[0]: _SCHEMA, OPENMETRICS.split(";")[0]: _SCHEMA},
            "description": "Prometheus' text format, or OpenMetrics where `Accept` prefers it; gzip if asked",
        }
    },
    "response_class": Response,
}


@router.get(METRICS, operation_id="metrics", **_DESCRIBED)
async def metrics(request: Request) -> Response:
    """Requests, stages, queue, workers, jobs and sensors. Open without the token where the agent was told so."""
    accept, encodings = (", ".join(request.headers.getlist(name)) for name in ("accept", "accept-encoding"))
    rendered = await agent_of(request).exposition.render(accept, encodings)
    return Response(rendered.body, headers=rendered.headers)

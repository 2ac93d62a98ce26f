"""One file a resource. A route parses, calls the agent, returns."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from pydantic import BaseModel

from server.agent import Agent
from server.http.openapi import problem_response
from server.http.sse import MEDIA_TYPE


def agent_of(request: Request) -> Agent:
    """The agent behind this app."""
    return cast(Agent, request.app.state.agent)


async def _agent(request: Request) -> Agent:
    """`agent_of` as a dependency; async, because FastAPI would send a plain function to a thread."""
    return agent_of(request)


AgentDependency = Annotated[Agent, Depends(_agent)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem+json answers of a route, for OpenAPI; `server.http.openapi` adds those that every route has."""
    return {status: problem_response() for status in statuses}


def unchanged(
    model: type[BaseModel], description: str, headers: Mapping[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The answer 200 of a route whose usual one is 201 or 202, for the OpenAPI description."""
    return {200: {"model": model, "description": description, "headers": dict(headers or {})}}


def content(media_type: str) -> dict[int | str, dict[str, Any]]:
    """The answer 200 of a route whose content no model describes, or not alone, for the OpenAPI description."""
    return {200: {"content": {media_type: {"schema": {"type": "string"}}}}}


def events(*names: str) -> dict[int | str, dict[str, Any]]:
    """The answer 200 of a route that streams server-sent events, by the names they have."""
    data = {"type": "string", "contentMediaType": "application/json"}
    fields = {"event": {"enum": list(names)}, "data": data, "id": {"type": "string"}}
    event = {"type": "object", "required": ["event", "data"], "properties": fields}
    return {200: {"content": {MEDIA_TYPE: {"itemSchema": event}}}}

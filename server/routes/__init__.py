"""One file a resource. A route parses, calls the agent, returns."""

from typing import Annotated, Any, cast

from fastapi import Depends, Request

from contract.errors import PROBLEM_MEDIA_TYPE, Problem
from server.agent import Agent


def agent_of(request: Request) -> Agent:
    """The agent behind this app."""
    return cast(Agent, request.app.state.agent)


async def _agent(request: Request) -> Agent:
    """`agent_of` as a dependency; async, because FastAPI would send a plain function to a thread."""
    return agent_of(request)


AgentDependency = Annotated[Agent, Depends(_agent)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem+json answers of a route, for the OpenAPI description."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {status: {"description": "See `code` and `hint`", "content": content} for status in (401, *statuses)}

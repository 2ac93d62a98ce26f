"""Classify pictures: the file itself as the body, or several as multipart/form-data."""

import asyncio
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from contract.classify import BatchReply, ClassifyOptions, ClassifyReply, PictureReply
from contract.paths import CLASSIFY, CLASSIFY_WITH, SERVER_TIMING_HEADER
from server.classification import Admitted, server_timing
from server.errors import AgentError, as_problem
from server.intake import Picture
from server.requests import request_id
from server.routes import agent_of, problems

router = APIRouter(tags=["classify"])

JSON = "application/json"

_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {"picture": {"type": "array", "items": _PICTURE["schema"]}}}}
_DOCUMENTATION: dict[str, Any] = {
    "responses": {
        **problems(400, 404, 413, 415, 422, 429, 503, 504),
        200: {"model": ClassifyReply | BatchReply, "description": "A BatchReply for multipart, else a ClassifyReply"},
    },
    "openapi_extra": {
        "parameters": [
            {"name": name, "in": "query", "schema": schema}
            for name, schema in ClassifyOptions.model_json_schema()["properties"].items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/jpeg": _PICTURE,
                "image/png": _PICTURE,
                "image/webp": _PICTURE,
                "multipart/form-data": _FORM,
            },
        },
    },
}


@router.post(CLASSIFY, operation_id="classify", **_DOCUMENTATION)
async def classify(request: Request) -> Response:
    """Classify with the agent's default model."""
    return await answer(request, None)


@router.post(CLASSIFY_WITH, operation_id="classify_with", **_DOCUMENTATION)
async def classify_with(name: str, request: Request) -> Response:
    """Classify with a named model."""
    return await answer(request, name)


@lru_cache(maxsize=256)
def _options(query: bytes) -> ClassifyOptions:
    """The options in a query string. Parsed here and remembered: it is most of what FastAPI does for a request."""
    parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    try:
        return ClassifyOptions.model_validate(dict(parameters))
    except ValidationError as error:
        faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from error


async def answer(request: Request, model: str | None) -> Response:
    """Classify what the request brings with a model, the default one for None; raises AgentError."""
    agent, options = agent_of(request), _options(request.scope["query_string"])
    admitted = await agent.classification.admit(model, options)
    with agent.intake.open(request) as body:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            batch = await _classify_all(await body.pictures(), admitted, request, 2 * agent.settings.worker_count)
            return Response(batch.model_dump_json(), media_type=JSON)
        reply = await admitted.classify(await body.picture(), request_id(request.scope))
    headers = {SERVER_TIMING_HEADER: server_timing(reply.timing_ms)}
    return Response(reply.model_dump_json(), media_type=JSON, headers=headers)


async def _classify_all(pictures: list[Picture], admitted: Admitted, request: Request, at_once: int) -> BatchReply:
    """Keep the workers busy without filling the queue that others wait in; a bad picture does not spoil the rest."""
    turn = asyncio.Semaphore(at_once)

    async def one(picture: Picture) -> PictureReply:
        identifier = request_id(request.scope)
        try:
            async with turn:
                return PictureReply(name=picture.name, result=await admitted.classify(picture, identifier))
        except AgentError as error:
            problem = as_problem(error, instance=request.url.path, request_id=identifier)
            return PictureReply(name=picture.name, problem=problem)

    return BatchReply(results=await asyncio.gather(*map(one, pictures)))

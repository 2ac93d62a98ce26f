"""Classify pictures: the file itself as the body, or several as multipart/form-data."""

import asyncio
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from contract.classify import BatchReply, ClassifyOptions, ClassifyReply, ImageReply
from contract.codes import ErrorCode
from contract.paths import CLASSIFY, CLASSIFY_WITH, SERVER_TIMING_HEADER
from server.classification import Admitted, server_timing
from server.errors import AgentError, as_problem
from server.http.body import Part
from server.http.exchange import exchange_of
from server.http.openapi import query_parameters
from server.http.requests import request_id
from server.routes import agent_of, problems

router = APIRouter(tags=["classify"])

JSON = "application/json"

_IMAGE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {"image": {"type": "array", "items": _IMAGE["schema"]}}}}
_MODEL_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "title": "Name"}}


def _described(*parameters: dict[str, Any]) -> dict[str, Any]:
    """What FastAPI cannot read from a handler that takes the request alone."""
    images = dict.fromkeys(("image/jpeg", "image/png", "image/webp"), _IMAGE)
    return {
        "responses": {
            **problems(400, 404, 409, 415, 422, 504),
            200: {
                "model": ClassifyReply | BatchReply,
                "description": "A BatchReply for multipart, else a ClassifyReply",
            },
        },
        "openapi_extra": {
            "parameters": [*parameters, *query_parameters(ClassifyOptions)],
            "requestBody": {"required": True, "content": {**images, "multipart/form-data": _FORM}},
        },
    }


@lru_cache(maxsize=256)
def _options(query: bytes) -> ClassifyOptions:
    """The options in a query string. Parsed here and remembered: it is most of what FastAPI does for a request."""
    parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    try:
        return ClassifyOptions.model_validate(dict(parameters))
    except ValidationError as error:
        faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from error


@router.post(CLASSIFY, operation_id="classify", description="Classify with the agent's default model.", **_described())
@router.post(
    CLASSIFY_WITH, operation_id="classify_with", description="Classify with a named model.", **_described(_MODEL_NAME)
)
async def classify(request: Request) -> Response:
    """Classify what the request brings with the model of its path, else with the default one; raises AgentError.

    It is called by `server.routes.fast_path`, past FastAPI's router.
    """
    agent, options = agent_of(request), _options(request.scope["query_string"])
    admitted = await agent.classification.admit(request.path_params.get("name"), options)
    place = await agent.pools.admission.enter(exchange_of(request.scope))
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with agent.bodies.parts(request, place) as parts:
            batch = await _classify_all(parts, admitted, request)
        return Response(batch.model_dump_json(), media_type=JSON)
    with place, agent.pools.arena.take() as slot:
        await agent.bodies.image(request, slot)
        place.received()
        reply = await admitted.classify(slot, request_id(request.scope), place.waited_ns)
    headers = {SERVER_TIMING_HEADER: server_timing(reply.timing_ms)}
    return Response(reply.model_dump_json(), media_type=JSON, headers=headers)


async def _classify_all(parts: list[Part], admitted: Admitted, request: Request) -> BatchReply:
    """Keep the workers busy without filling the queue that others wait in; a bad picture does not spoil the rest."""
    agent, identifier = agent_of(request), request_id(request.scope)
    turn = asyncio.Semaphore(2 * agent.settings.worker_count)

    async def one(part: Part) -> ImageReply:
        try:
            async with turn:
                with await agent.pools.admission.enter(None) as place, agent.pools.arena.take() as slot:
                    slot.append(part.content)
                    if not slot.size:
                        raise AgentError(ErrorCode.EMPTY_BODY, f"{part.name} holds no bytes")
                    result = await admitted.classify(slot, identifier, place.waited_ns)
                    return ImageReply(name=part.name, result=result)
        except AgentError as error:
            problem = as_problem(error, instance=request.scope["path"], request_id=identifier)
            return ImageReply(name=part.name, problem=problem)

    return BatchReply(results=await asyncio.gather(*map(one, parts)))

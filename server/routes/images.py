"""Requests that bring pictures, for any task: the file itself as the body, or several as multipart/form-data."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from contract.classify import ClassifyReply, ImageOptions
from contract.codes import ErrorCode
from contract.detect import DetectReply
from contract.paths import SERVER_TIMING_HEADER
from contract.tasks import Task
from server.errors import AgentError, as_problem
from server.http.body import Part
from server.http.exchange import exchange_of
from server.http.openapi import header, query_parameters
from server.http.requests import request_id
from server.inference import Admitted, Prediction, server_timing
from server.metrics.inferences import InferenceRequest
from server.routes import agent_of, problems
from server.workers.admission import Place
from server.workers.arena import Slot

JSON = "application/json"

_IMAGE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {"type": "object", "properties": {"image": {"type": "array", "items": _IMAGE["schema"]}}},
    "encoding": {"image": {"contentType": "image/jpeg, image/png, image/webp"}},
}
_TIMING = header(SERVER_TIMING_HEADER, "Milliseconds in each stage (W3C), for one picture", required=False)
MODEL_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "title": "Name"}}

Options = TypeVar("Options", bound=ImageOptions)
Reply = ClassifyReply | DetectReply


@dataclass(frozen=True)
class ImageRoute(Generic[Options]):
    """What a task makes of a request that brings pictures, and of the answer."""

    task: Task
    options: type[Options]
    order: Callable[[Options], dict[str, Any]]
    """What the worker is told of the options."""
    reply: Callable[[Prediction, Mapping[int, str], str], Reply]
    """The reply to one picture, given the model's labels and the request's id."""
    entry: type[BaseModel]
    """One part of a multipart reply: name, and result or problem."""
    batch: type[BaseModel]
    """A multipart reply: results."""

    def described(self, reply: Any, *parameters: dict[str, Any]) -> dict[str, Any]:
        """What FastAPI cannot read from a handler that takes the request alone."""
        images = dict.fromkeys(("image/jpeg", "image/png", "image/webp"), _IMAGE)
        described = f"A {self.batch.__name__} for multipart, else a {reply.__name__}"
        return {
            "responses": {
                **problems(400, 404, 409, 415, 422, 504),
                200: {"model": reply | self.batch, "description": described, "headers": _TIMING},
            },
            "openapi_extra": {
                "parameters": [*parameters, *query_parameters(self.options)],
                "requestBody": {"required": True, "content": {**images, "multipart/form-data": _FORM}},
            },
        }

    async def answer(self, request: Request) -> Response:
        """Do the task on what the request brings with the model of its path, else the default one; raises AgentError.

        It is called by `server.routes.fast_path`, past FastAPI's router.
        """
        agent, options = agent_of(request), _options(self.options, request.scope["query_string"])
        admitted = await agent.inference.admit(request.path_params.get("name"), options.runtime, self.task)
        with agent.inferences.request(admitted.name, self.task) as counted:
            place = await agent.pools.admission.enter(exchange_of(request.scope))
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                async with agent.bodies.parts(request, place) as parts:
                    counted.arrived()
                    batch = await self._answer_all(parts, admitted, options, request, counted)
                return Response(batch.model_dump_json(), media_type=JSON)
            with place, agent.pools.arena.take() as slot:
                await agent.bodies.image(request, slot)
                place.received()
                counted.arrived(place.waited_ns)
                reply = await self._one(admitted, slot, place, options, request_id(request.scope))
                counted.executed(admitted.runtime, vars(reply.timing_ms))
        headers = {SERVER_TIMING_HEADER: server_timing(reply.timing_ms)}
        return Response(reply.model_dump_json(), media_type=JSON, headers=headers)

    async def _one(self, admitted: Admitted, slot: Slot, place: Place, options: Options, identifier: str) -> Reply:
        found = await admitted.predict(slot, place.waited_ns, options.decode, self.order(options))
        return self.reply(found, admitted.model.labels, identifier)

    async def _answer_all(
        self, parts: list[Part], admitted: Admitted, options: Options, request: Request, counted: InferenceRequest
    ) -> BaseModel:
        """Keep the workers busy without filling the queue that others wait in; a bad picture spoils no other."""
        agent, identifier = agent_of(request), request_id(request.scope)
        turn = asyncio.Semaphore(2 * agent.settings.worker_count)

        async def one(part: Part) -> BaseModel:
            try:
                async with turn:
                    with await agent.pools.admission.enter(None) as place, agent.pools.arena.take() as slot:
                        slot.append(part.content)
                        if not slot.size:
                            raise AgentError(ErrorCode.EMPTY_BODY, f"{part.name} holds no bytes")
                        result = await self._one(admitted, slot, place, options, identifier)
                        counted.executed(admitted.runtime, vars(result.timing_ms))
                        return self.entry(name=part.name, result=result)
            except AgentError as error:
                counted.part_failed(error.code)
                problem = as_problem(error, instance=request.scope["path"], request_id=identifier)
                return self.entry(name=part.name, problem=problem)

        return self.batch(results=await asyncio.gather(*map(one, parts)))


@lru_cache(maxsize=256)
def _options(model: type[Options], query: bytes) -> Options:
    """The options in a query string. Parsed here and remembered: it is most of what FastAPI does for a request."""
    parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    try:
        return model.model_validate(dict(parameters))
    except ValidationError as error:
        faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from error

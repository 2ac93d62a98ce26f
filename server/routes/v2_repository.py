"""The models on the agent as a repository: all of them listed, each loaded and unloaded."""

from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from contract.codes import ErrorCode
from contract.openinference import IndexEntry, IndexRequest, RepositoryRequest
from contract.paths import V2_INDEX, V2_LOAD, V2_UNLOAD
from server.errors import AgentError
from server.http.openapi import refusals
from server.routes import AgentDependency

router = APIRouter(tags=["open inference protocol"], responses=refusals(400, 404, 409, 422))

Document = TypeVar("Document", bound=BaseModel)


def _optional(model: type[BaseModel]) -> dict[str, Any]:
    """A body that may be left out, for OpenAPI."""
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": model.model_json_schema()}}}}


@router.post(V2_INDEX, operation_id="v2_index", openapi_extra=_optional(IndexRequest))
async def index(agent: AgentDependency, request: Request) -> list[IndexEntry]:
    """Every model on the agent, whether it answers or not."""
    wanted = await _document(request, IndexRequest)
    return agent.open_inference.index(ready_only=wanted.ready)


@router.post(V2_LOAD, operation_id="v2_load", openapi_extra=_optional(RepositoryRequest), response_class=Response)
async def load(agent: AgentDependency, request: Request, name: str) -> Response:
    """Have the workers load a model, and let it answer. Files come by `PUT /v1/models/{name}` only."""
    if (await _document(request, RepositoryRequest)).parameters:
        detail = "a model's configuration and files cannot be sent with load"
        raise AgentError(ErrorCode.INVALID_TENSOR, detail, hint="`client models push` brings a model")
    await agent.open_inference.load(name)
    return Response()


@router.post(V2_UNLOAD, operation_id="v2_unload", openapi_extra=_optional(RepositoryRequest), response_class=Response)
async def unload(agent: AgentDependency, request: Request, name: str) -> Response:
    """Let a model answer no more under /v2, until it is loaded, put anew, or the agent starts again."""
    await _document(request, RepositoryRequest)
    agent.open_inference.unload(name)
    return Response()


async def _document(request: Request, model: type[Document]) -> Document:
    """The body, whatever type it says it has: clients of this protocol send none. Nothing is an empty object."""
    try:
        return model.model_validate_json(await request.body() or b"{}")
    except ValidationError as error:
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]) from error

"""What the routes' own declarations leave out of the OpenAPI description: errors, and what every path may answer."""

from typing import Any

from fastapi import FastAPI

from contract.classify import ClassifyOptions, ImageOptions
from contract.detect import DetectOptions
from contract.errors import PROBLEM_MEDIA_TYPE, Problem
from contract.openinference import ProtocolError
from contract.paths import HEALTH_LIVE, V2, V2_LIVE

REFERENCE = "#/components/schemas/{model}"
EVERYWHERE = (413, 500, 503)
"""A body above every limit, a mistake of the agent, and more connections than it serves."""
GUARDED = (401, 403, 429)
"""Where the token is asked for: it is missing or wrong, a foreign web page asks, too many wrong ones came."""
_METHODS = ("get", "head", "put", "post", "delete")


class DescribedAPI(FastAPI):
    """An application whose description is complete: every reference leads somewhere, every status is named."""

    def openapi(self) -> dict[str, Any]:
        """The description, made when it is first asked for."""
        if self.openapi_schema is None:
            _complete(super().openapi())
        return super().openapi()


def problem_response() -> dict[str, Any]:
    """An error answer, described."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(model=Problem.__name__)}}}
    return {"description": "See `code` and `hint`", "content": content}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Error answers of a route of the Open Inference Protocol; those that every route has are added."""
    return {status: protocol_error_response() for status in statuses}


def protocol_error_response() -> dict[str, Any]:
    """An error answer as the Open Inference Protocol has it, described."""
    content = {"application/json": {"schema": {"$ref": REFERENCE.format(model=ProtocolError.__name__)}}}
    return {"description": "What is wrong, and what to do", "content": content}


def query_parameters(model: type[ImageOptions]) -> list[dict[str, Any]]:
    """Fields of a model that a route reads from the query string by itself."""
    properties = model.model_json_schema(ref_template=REFERENCE)["properties"]
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]


def _complete(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for model in (Problem, ProtocolError, ClassifyOptions, DetectOptions):
        schema = model.model_json_schema(ref_template=REFERENCE)
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                _complete_operation(path, operations[method]["responses"])
    for name in ("HTTPValidationError", "ValidationError"):  # how FastAPI would answer, had it no handlers
        schemas.pop(name, None)


def _complete_operation(path: str, responses: dict[str, Any]) -> None:
    statuses = {str(status) for status in (*EVERYWHERE, *(() if path in (HEALTH_LIVE, V2_LIVE) else GUARDED))}
    if path.startswith(V2):  # some describe theirs themselves
        statuses -= responses.keys()
    for status in sorted(statuses | ({"422"} & responses.keys())):
        responses[status] = protocol_error_response() if path.startswith(V2) else problem_response()

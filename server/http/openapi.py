"""What the routes' own declarations leave out of the OpenAPI description: errors, and what every path may answer."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from contract.classify import REQUEST_ID_PATTERN, ClassifyOptions, ImageOptions
from contract.detect import DetectOptions
from contract.errors import PROBLEM_MEDIA_TYPE, Problem
from contract.openinference import ProtocolError
from contract.paths import REQUEST_ID_HEADER, V2
from contract.tokens import ALL_SCOPES, Scope
from server.http.scopes import OPEN_PATHS, RULES, Rule

REFERENCE = "#/components/schemas/{model}"
EVERYWHERE = (413, 500, 503)
"""A body above every limit, a mistake of the agent, and more connections than it serves."""
GUARDED = (401, 403, 429)
"""Where the token is asked for: it is missing or wrong, a foreign web page asks, too many wrong ones came."""
TOKEN_SCHEME = "token"
"""The name of the security scheme that the description has."""
_METHODS = ("get", "head", "put", "post", "delete")
_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "`Authorization: Bearer TOKEN`. The names beside it are scopes of which any will do. An agent that "
    "was started without a token asks for none; browsers send the cookie of `POST /v1/session` instead.",
}


class DescribedAPI(FastAPI):
    """An application whose description is complete: references, statuses, headers, and the scopes of each path."""

    rules: Mapping[tuple[str, str], Rule] = RULES

    def openapi(self) -> dict[str, Any]:
        """The description, made when it is first asked for."""
        if self.openapi_schema is None:
            _complete(super().openapi(), self.rules)
        return super().openapi()


def header(name: str, description: str, *, required: bool = True, pattern: str | None = None) -> dict[str, Any]:
    """A header of an answer, described: an entry of `headers` in `responses`."""
    schema = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    return {name: {"description": description, "required": required, "schema": schema}}


_REQUEST_ID = header(
    REQUEST_ID_HEADER, "As it was sent, where it was well-formed; else made here", pattern=REQUEST_ID_PATTERN
)
_HEADERS_OF = {
    "401": header("WWW-Authenticate", "What is wanted (RFC 6750)", pattern="^Bearer "),
    "429": header("Retry-After", "Seconds", required=False, pattern="^[0-9]+$"),
    "503": header("Retry-After", "Seconds", required=False, pattern="^[0-9]+$"),
}
"""Headers of these statuses, on every path."""


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


def _complete(document: dict[str, Any], rules: Mapping[tuple[str, str], Rule]) -> None:
    document["components"]["securitySchemes"] = {TOKEN_SCHEME: _TOKEN}
    schemas = document["components"]["schemas"]
    for model in (Problem, ProtocolError, ClassifyOptions, DetectOptions):
        schema = model.model_json_schema(ref_template=REFERENCE)
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                operations[method]["security"] = _security(rules[method.upper(), path])
                _complete_operation(path, operations[method]["responses"])
    for name in ("HTTPValidationError", "ValidationError"):  # how FastAPI would answer, had it no handlers
        schemas.pop(name, None)


def _complete_operation(path: str, responses: dict[str, Any]) -> None:
    named = (404,) if "{" in path else ()  # a slash in a name leads elsewhere, escaped or not
    statuses = {str(status) for status in (*EVERYWHERE, *named, *(() if path in OPEN_PATHS else GUARDED))}
    if path.startswith(V2):  # some describe theirs themselves
        statuses -= responses.keys()
    for status in sorted(statuses | ({"422"} & responses.keys())):
        responses[status] = protocol_error_response() if path.startswith(V2) else problem_response()
    for status, response in responses.items():
        response["headers"] = {**response.get("headers", {}), **_REQUEST_ID, **_HEADERS_OF.get(status, {})}


def _security(rule: Rule) -> list[dict[str, list[str]]]:
    """Scopes as OpenAPI has them: each entry of the list is enough. Nothing is needed where the list is empty."""
    if rule.open:
        return []
    if rule.scopes == ALL_SCOPES:
        return [{TOKEN_SCHEME: []}]
    return [{TOKEN_SCHEME: [scope]} for scope in Scope if scope in rule.scopes]

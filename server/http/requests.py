"""What every request gets: an id, and problem+json instead of a framework's error pages."""

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.codes import ErrorCode
from contract.openinference import ProtocolError
from contract.paths import ERROR_CODE_HEADER, OPENAPI, REQUEST_ID_HEADER, V2
from contract.text import visible
from server.errors import AgentError, as_http
from server.http.exchange import exchange_of

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_HEADER = REQUEST_ID_HEADER.lower().encode()

FAULTS_SHOWN = 20
KEY_SHOWN = 100
"""Characters of a field's name: names of fields that are not known come from the request."""

_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")
_CLOSE = (b"connection", b"close")


class RequestIds:
    """ASGI middleware: takes a well-formed `X-Request-ID` or makes one, and sends it back.

    `observe` is told the method, path and status of every answer, and the nanoseconds until it began.
    """

    def __init__(self, app: ASGIApp, observe: Callable[[str, str, int, int], None]) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_ns = time.perf_counter_ns()
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        request_id = given if _ACCEPTED_ID.fullmatch(given) else secrets.token_hex(8).encode()
        scope["request_id"] = request_id.decode()
        exchange = exchange_of(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._observe(scope["method"], scope["path"], message["status"], time.perf_counter_ns() - began_ns)
                headers = [*message["headers"], (_HEADER, request_id), _NOSNIFF]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_NO_STORE)
                if exchange is not None and exchange.unread:
                    headers.append(_CLOSE)  # sooner done than reading the rest of the body
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_id)


def request_id(scope: Scope) -> str:
    """The id of a request."""
    return cast(str, scope["request_id"])


async def send_error(error: AgentError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with an error."""
    await error_response(error, scope)(scope, receive, send)


def error_response(error: AgentError, scope: Scope) -> Response:
    """An error as problem+json; under /v2 as the Open Inference Protocol has it."""
    path: str = scope["path"]
    status, headers, body = as_http(error, instance=path, request_id=request_id(scope))
    if path == V2 or path.startswith(f"{V2}/"):
        said = ProtocolError(error=f"{error.detail}; {error.hint}" if error.hint else error.detail)
        headers |= {"content-type": "application/json", ERROR_CODE_HEADER: str(error.code)}
        body = said.model_dump_json().encode()
    return Response(body, status, headers)


def install_error_handlers(app: FastAPI) -> None:
    """Turn whatever a route raises into problem+json."""
    handler = cast(Callable[[Request, Exception], Awaitable[Response]], _answer)
    for kind in (AgentError, RequestValidationError, HTTPException, ClientDisconnect, Exception):
        app.add_exception_handler(kind, handler)


async def _answer(request: Request, error: Exception) -> Response:
    return error_response(to_agent_error(request, error), request.scope)


def to_agent_error(request: Request, error: Exception) -> AgentError:
    """Whatever a route raised, as the error that is sent; what nobody expected is logged and not shown."""
    if isinstance(error, AgentError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException) and error.status_code == 404:
        return _not_found(request)
    if isinstance(error, HTTPException) and error.status_code == 405:
        path = request.scope["path"]
        headers = {"allow": ", ".join(_methods_of(path, request))}
        return AgentError(ErrorCode.METHOD_NOT_ALLOWED, f"{path} does not take {request.method}", headers=headers)
    if isinstance(error, HTTPException):
        return AgentError(ErrorCode.INVALID_REQUEST, str(error.detail))
    if isinstance(error, ClientDisconnect):
        return AgentError(ErrorCode.INVALID_REQUEST, "the sender hung up before the body was complete")
    log.error("request %s failed", request_id(request.scope), exc_info=error)
    return AgentError(ErrorCode.INTERNAL_ERROR, "something went wrong inside the agent")


def _not_found(request: Request) -> AgentError:
    path = request.scope["path"]
    without_slash = path.rstrip("/")
    near = without_slash != path and without_slash and _methods_of(without_slash, request)
    hint = f"without the slash at its end: {without_slash}" if near else f"GET {OPENAPI} lists all"
    return AgentError(ErrorCode.NOT_FOUND, f"no resource {path}", hint=hint)


def _methods_of(path: str, request: Request) -> list[str]:
    """Every method that some route takes on a path; the framework's own answer names those of its first route."""
    routes = request.app.routes
    scopes = {method: {**request.scope, "path": path, "method": method} for method in METHODS}
    return [method for method in METHODS if any(route.matches(scopes[method])[0] is Match.FULL for route in routes)]


def _invalid(error: RequestValidationError) -> AgentError:
    """Name the first wrong field in the detail and list more, without echoing the values that were sent."""
    faults = [
        {"where": [visible(str(key)[:KEY_SHOWN]) for key in fault["loc"]], "problem": visible(fault["msg"])}
        for fault in islice(error.errors(), FAULTS_SHOWN)
    ]
    first = faults[0]
    detail = f"{'.'.join(first['where'])}: {first['problem']}"
    return AgentError(ErrorCode.INVALID_REQUEST, detail, errors=[dict(fault) for fault in faults])

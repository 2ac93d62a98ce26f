"""The short way to what is asked for most, or by anybody.

FastAPI's middlewares, router and dependency solver take as long as all else the agent's own process does for a
picture (docs/performance.md has the figures), so POSTs of pictures and of tensors go straight to the handler that
FastAPI's router has for them. So do GETs of the page's files: strangers may ask for those as often as they like, and
must not take time from others.
"""

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from contract.paths import CLASSIFY, CLASSIFY_WITH, DETECT_WITH, PAGE, STATIC_PREFIX, V2_INFER
from server.http.limits import DocumentLimit
from server.http.requests import error_response, to_agent_error
from server.routes import page
from server.routes.classify import classify
from server.routes.detect import detect
from server.routes.v2_infer import infer

Endpoint = Callable[[Request], Awaitable[Response]]

_WITH_MODEL: dict[str, Endpoint] = {CLASSIFY_WITH: classify, DETECT_WITH: detect}
"""Paths that name a model, which all differ in their last part."""
_PATH = re.compile(re.escape(CLASSIFY_WITH.rpartition("/")[0]).replace(r"\{name\}", "([^/]+)") + "/([a-z]+)")
_INFER = re.compile(re.escape(V2_INFER).replace(r"\{name\}", "(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?"))
_BY_LAST_PART = {template.rpartition("/")[2]: endpoint for template, endpoint in _WITH_MODEL.items()}
_PATHS_KEPT = 64


@lru_cache(maxsize=_PATHS_KEPT)
def _endpoint(method: str, path: str) -> tuple[Endpoint, dict[str, str | None]] | None:
    """The handler that answers a request past FastAPI's router, and the parameters in its path."""
    if method == "POST":
        if path == CLASSIFY:
            return classify, {}
        if (named := _PATH.fullmatch(path)) and (endpoint := _BY_LAST_PART.get(named[2])):
            return endpoint, {"name": named[1]}
        if (named := _INFER.fullmatch(path)) is not None:
            return infer, named.groupdict()
    elif method == "GET" and (path == PAGE or path.startswith(STATIC_PREFIX)):
        return page.file, {}
    return None


class FastPath:
    """ASGI middleware that serves these paths itself and hands everything else on."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._others = DocumentLimit(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _endpoint(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._others(scope, receive, send)
            return
        endpoint, scope["path_params"] = found
        scope["app"] = self._app
        request = Request(scope, receive)
        try:
            response = await endpoint(request)
        except Exception as error:
            response = error_response(to_agent_error(request, error), scope)
        await response(scope, receive, send)

"""The short way to classification.

FastAPI's middlewares, router and dependency solver take as long as all else the agent's own process does for a
picture (docs/performance.md has the figures), so POSTs of pictures go straight to their
endpoint. FastAPI still describes these paths in the schema and answers other methods on them.
"""

import re

from fastapi import FastAPI, Request
from starlette.types import Receive, Scope, Send

from contract.paths import CLASSIFY, CLASSIFY_WITH
from server.limits import DocumentLimit
from server.requests import error_response, to_agent_error
from server.routes.classify import answer

_WITH_MODEL = re.compile(re.escape(CLASSIFY_WITH).replace(r"\{name\}", "([^/]+)"))


class Express:
    """ASGI middleware that serves the classify paths itself and hands everything else on."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._others = DocumentLimit(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            path = scope["path"]
            if path == CLASSIFY:
                return await self._answer(None, scope, receive, send)
            if named := _WITH_MODEL.fullmatch(path):
                return await self._answer(named[1], scope, receive, send)
        await self._others(scope, receive, send)

    async def _answer(self, model: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._app
        request = Request(scope, receive)
        try:
            response = await answer(request, model)
        except Exception as error:
            response = error_response(to_agent_error(request, error), scope)
        await response(scope, receive, send)

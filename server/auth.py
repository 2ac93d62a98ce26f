"""Who may ask: everything but liveness needs the token, and without one only this machine's own programs may ask."""

import hashlib
import hmac
import time
from collections import deque
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.codes import ErrorCode
from contract.paths import HEALTH_LIVE
from server.errors import AgentError
from server.requests import send_error

OPEN_PATHS = frozenset({HEALTH_LIVE})
ATTEMPTS_PER_MINUTE = 10
ADDRESSES_REMEMBERED = 1024
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Authentication:
    """ASGI middleware that answers unauthenticated requests itself, before anything reads their bodies.

    With a token: its SHA-256 is compared in constant time, and an address that keeps sending wrong ones is told to
    wait. Without one the agent listens on loopback only, and refuses what a web page in the user's browser could
    send there: foreign origins, and host names that are not this machine's (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, token_sha256: str | None) -> None:
        self._app = app
        self._token_sha256 = token_sha256
        self._wrong: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                self._check(Headers(scope=scope), scope)
            except AgentError as error:
                await send_error(error, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, headers: Headers, scope: MutableMapping[str, Any]) -> None:
        if self._token_sha256 is None:
            _require_local(headers)
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        presented = hashlib.sha256(token.strip().encode()).hexdigest()
        if scheme.lower() == "bearer" and hmac.compare_digest(presented, self._token_sha256):
            return
        if not token:
            raise AgentError(ErrorCode.UNAUTHORIZED, "this agent wants a token and the request brought none")
        self._count_wrong(str((scope.get("client") or ("unknown",))[0]))
        raise AgentError(ErrorCode.UNAUTHORIZED, "this is not the token this agent was started with")

    def _count_wrong(self, address: str) -> None:
        attempts = self._wrong.setdefault(address, deque(maxlen=ATTEMPTS_PER_MINUTE))
        now = time.monotonic()
        if len(attempts) == ATTEMPTS_PER_MINUTE and now - attempts[0] < 60:
            raise AgentError(
                ErrorCode.TOO_MANY_ATTEMPTS, f"more than {ATTEMPTS_PER_MINUTE} wrong tokens within a minute"
            )
        attempts.append(now)
        if len(self._wrong) > ADDRESSES_REMEMBERED:
            self._wrong.pop(next(iter(self._wrong)))


def _require_local(headers: Headers) -> None:
    origin = headers.get("origin")
    names = {urlsplit("//" + headers.get("host", "")).hostname}
    if origin is not None:
        names.add(urlsplit(origin).hostname)
    if not names <= LOOPBACK_NAMES:
        raise AgentError(
            ErrorCode.FORBIDDEN_ORIGIN,
            "an agent without a token answers this machine's own programs only",
            hint="start the agent with a token, or send the request to 127.0.0.1",
        )

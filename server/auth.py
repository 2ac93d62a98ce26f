"""Who may ask: everything but liveness needs the token, or a session that was opened with it.

Without a token only this machine's own programs may ask.
"""

import hashlib
import hmac
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.codes import ErrorCode
from contract.paths import HEALTH_LIVE, PAGE, SESSION, SESSION_CODES, STATIC_PREFIX
from server.attempts import WrongAttempts
from server.errors import AgentError
from server.requests import send_error
from server.sessions import Sessions

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
READING = frozenset({"GET", "HEAD"})
OWN_PAGE = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site for what the agent's own page or the address bar asked for."""


class Authentication:
    """ASGI middleware that answers unauthenticated requests itself, before anything reads their bodies.

    With a token: its SHA-256 is compared in constant time, and an address that keeps sending wrong ones is told to
    wait. A browser's session counts as the token, for requests of the agent's own page alone. The page itself, which
    holds no data, and the path that takes a one-time code are open. Without a token the agent listens on loopback
    only, and refuses what a web page in the user's browser could send there: foreign origins, and host names that are
    not this machine's (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, token_sha256: str | None, sessions: Sessions) -> None:
        self._app = app
        self._token_sha256 = token_sha256
        self._sessions = sessions
        self._wrong = WrongAttempts("tokens")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != HEALTH_LIVE:
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
        authorization = headers.get("authorization")
        if authorization is None:
            self._check_browser(headers, scope)
            return
        scheme, _, token = authorization.partition(" ")
        presented = hashlib.sha256(token.strip().encode()).hexdigest()
        if scheme.lower() == "bearer" and hmac.compare_digest(presented, self._token_sha256):
            return
        if not token:
            raise _no_token()
        self._wrong.count(address_of(scope))
        raise AgentError(ErrorCode.UNAUTHORIZED, "this is not the token this agent was started with")

    def _check_browser(self, headers: Headers, scope: MutableMapping[str, Any]) -> None:
        """A request without a token: for what is open, or with the cookie of a session."""
        method, path = scope["method"], scope["path"]
        if method in READING and (path == PAGE or path.startswith(STATIC_PREFIX)):
            return
        opens = (method, path) == ("POST", SESSION)
        # Codes are for the token alone: a session must not beget others that outlive it.
        if path == SESSION_CODES or not (opens or self._sessions.holds(headers.get("cookie", ""))):
            raise _no_token()
        _require_own_page(headers, method)


def address_of(scope: MutableMapping[str, Any]) -> str:
    """Where a request came from."""
    return str((scope.get("client") or ("unknown",))[0])


def _no_token() -> AgentError:
    return AgentError(ErrorCode.UNAUTHORIZED, "this agent wants a token and the request brought none")


def _require_own_page(headers: Headers, method: str) -> None:
    """Refuse what another site's page, or one on another port of this host, sends with the browser's cookie.

    SameSite=Strict keeps other sites' requests bare of it, but ports of a host are one site.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    foreign = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    if foreign or site not in OWN_PAGE or (origin is None and method not in READING):
        raise AgentError(
            ErrorCode.FORBIDDEN_ORIGIN,
            "a browser's session is for the agent's own page",
            hint="programs send the token: Authorization: Bearer TOKEN",
        )


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

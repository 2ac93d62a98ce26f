"""Who may ask: everything but liveness needs the token, or a session that was opened with it.

Without a token only this machine's own programs may ask.
"""

import hashlib
import hmac
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from contract.codes import ErrorCode
from contract.paths import HEALTH_LIVE, PAGE, SESSION, SESSION_CODES, STATIC_PREFIX
from server.errors import AgentError
from server.http.attempts import WrongAttempts
from server.http.exchange import exchange_of
from server.http.origins import DEFAULT_PORTS, host_of, one_header, parse_origin
from server.http.requests import send_error
from server.http.sessions import Sessions, cookies_of

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
READING = frozenset({"GET", "HEAD"})
OWN_PAGE = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site for what the agent's own page or the address bar asked for."""


class Authentication:
    """ASGI middleware that answers unauthenticated requests itself, before anything reads their bodies.

    With a token: its SHA-256 is compared in constant time, and an address that keeps sending wrong ones is told to
    wait. A browser's session counts as the token, for requests of the agent's own page alone. The page itself, which
    holds no data, and the path that takes a one-time code are open. Without a token the agent listens on loopback
    only, and refuses what a web page in the user's browser could send there: what pages of other sites and of other
    ports of this machine ask for, and host names that are not this machine's (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, token_sha256: str | None, sessions: Sessions) -> None:
        self._app = app
        self._token_sha256 = token_sha256
        self._sessions = sessions
        self._wrong = WrongAttempts("tokens")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != HEALTH_LIVE:
            try:
                self._check(scope)
            except AgentError as error:
                await send_error(error, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        if self._token_sha256 is None:
            _require_local(scope)
            if not _is_shell(scope):
                _keep_connection(scope)
            return
        authorization = one_header(scope, b"authorization")
        if authorization is None:
            self._check_browser(scope)
            return
        scheme, _, token = authorization.partition(" ")
        presented = hashlib.sha256(token.strip().encode()).hexdigest()
        if scheme.lower() == "bearer" and hmac.compare_digest(presented, self._token_sha256):
            _keep_connection(scope)
            return
        if not token:
            raise _no_token()
        self._wrong.count(address_of(scope))
        raise AgentError(ErrorCode.UNAUTHORIZED, "this is not the token this agent was started with")

    def _check_browser(self, scope: MutableMapping[str, Any]) -> None:
        """A request without a token: for what is open, or with the cookie of a session."""
        if _is_shell(scope):
            return
        method, path = scope["method"], scope["path"]
        opens = (method, path) == ("POST", SESSION)
        # Codes are for the token alone: a session must not beget others that outlive it.
        if path == SESSION_CODES or not (opens or self._sessions.holds(cookies_of(scope))):
            raise _no_token()
        _require_own_page(scope)
        if method not in READING and one_header(scope, b"origin") is None:
            raise AgentError(ErrorCode.FORBIDDEN_ORIGIN, "a page that changes something names its origin")
        if not opens:
            _keep_connection(scope)


def _keep_connection(scope: Scope) -> None:
    """Whoever sent this has authenticated: its connection makes room for nobody."""
    exchange = exchange_of(scope)
    if exchange is not None:
        exchange.authenticated()


def address_of(scope: MutableMapping[str, Any]) -> str:
    """Where a request came from."""
    return str((scope.get("client") or ("unknown",))[0])


def _no_token() -> AgentError:
    return AgentError(ErrorCode.UNAUTHORIZED, "this agent wants a token and the request brought none")


def _require_own_page(scope: MutableMapping[str, Any]) -> None:
    """Refuse what another site's page, or one on another port of this host, makes the browser send.

    Browsers count all ports of a host as one site: SameSite=Strict lets their requests carry the session's cookie.
    """
    origin = one_header(scope, b"origin")
    site = one_header(scope, b"sec-fetch-site") or "none"
    if site not in OWN_PAGE or (origin is not None and not _is_own(origin, scope)):
        raise AgentError(
            ErrorCode.FORBIDDEN_ORIGIN,
            "a web page may use the agent that it came from, and no other",
            hint="programs send no Origin; with a token: Authorization: Bearer TOKEN",
        )


def _is_own(origin: str, scope: MutableMapping[str, Any]) -> bool:
    """Whether an origin is the address that the request itself was sent to.

    A page from a plain address is foreign to an agent with TLS. The reverse is a proxy in front that adds TLS.
    """
    page, host = parse_origin(origin), host_of(scope)
    if page is None or host is None or (scope["scheme"] == "https" and page.scheme != "https"):
        return False
    port = DEFAULT_PORTS[page.scheme] if host.port is None else host.port
    return (page.host, page.port) == (host.host, port)


def _require_local(scope: MutableMapping[str, Any]) -> None:
    """Refuse what web pages can send to an agent without a token, however they name this machine.

    The page's own files, which hold no data, may be asked for from anywhere: a link elsewhere may lead here.
    """
    host = host_of(scope)
    if host is None or host.host not in LOOPBACK_NAMES:
        raise AgentError(
            ErrorCode.FORBIDDEN_ORIGIN,
            "an agent without a token answers this machine's own programs only",
            hint="start the agent with a token, or send the request to 127.0.0.1",
        )
    if not _is_shell(scope):
        _require_own_page(scope)


def _is_shell(scope: MutableMapping[str, Any]) -> bool:
    """Whether the live page itself is asked for."""
    path = scope["path"]
    return scope["method"] in READING and (path == PAGE or path.startswith(STATIC_PREFIX))

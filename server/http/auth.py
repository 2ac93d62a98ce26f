"""Who may ask, and for what: everything but liveness needs a token with the scope of its path, or a session of one.

Without tokens only this machine's own programs may ask.
"""

import hmac
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.codes import ErrorCode
from contract.paths import HEALTH_READY, PAGE, STATIC_PREFIX
from server.access.access import Access
from server.access.audit import Change
from server.access.callers import LOCAL, Caller
from server.errors import AgentError
from server.http.callers import caller_in, changed_in, keep_caller
from server.http.exchange import exchange_of
from server.http.origins import DEFAULT_PORTS, host_of, one_header, parse_origin
from server.http.requests import request_id, send_error
from server.http.scopes import OPEN_PATHS, RULES, Found, Rule, Rules
from server.http.sessions import Sessions, cookies_of

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
READING = frozenset({"GET", "HEAD"})
OWN_PAGE = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site for what the agent's own page or the address bar asked for."""


class Authentication:
    """ASGI middleware that answers itself who may not ask for something, before anything reads their bodies.

    With tokens: the one that a request brings is found by its SHA-256, needs a scope of `server.http.scopes`, and an
    address that keeps sending wrong ones is told to wait. A browser's session counts as the token that it was opened
    with, for requests of the agent's own page alone. The page itself, which holds no data, and the path that takes a
    one-time code are open. Without tokens the agent listens on loopback only, and refuses what a web page in the
    user's browser could send there: what pages of other sites and of other ports of this machine ask for, and host
    names that are not this machine's (DNS rebinding). What changes something is noted in the audit log.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        sessions: Sessions,
        probe_secret: str,
        is_routed: Callable[[Scope], bool],
        rules: Rules | None = None,
    ) -> None:
        """`probe_secret` opens readiness alone.

        `is_routed` tells whether the app has a route for a request: one that no rule knows is refused.
        `rules` are those of every agent where none are given.
        """
        self._app = app
        self._probe_secret = probe_secret.encode()
        self._access = access
        self._sessions = sessions
        self._is_routed = is_routed
        self._rules = rules or Rules(RULES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        found = self._rules.find(scope["method"], scope["path"])
        try:
            self._check(scope, None if found is None else found.rule)
        except AgentError as error:
            if found is not None and found.rule.action is not None and error.code is ErrorCode.SCOPE_MISSING:
                self._note(scope, found, error.status)
            await send_error(error, scope, receive, send)
            return
        if found is None or found.rule.action is None:
            await self._app(scope, receive, send)
        else:
            await self._noted(found, scope, receive, send)

    def _check(self, scope: MutableMapping[str, Any], rule: Rule | None) -> None:
        """Find out who asks, and refuse what they may not ask for; raises AgentError."""
        caller = self._caller(scope, rule)
        if caller is None:
            return
        keep_caller(scope, caller)
        if not _is_shell(scope):
            _keep_connection(scope, caller)
        if rule is not None:
            caller.require(rule.scopes, scope["method"], scope["path"])
        elif self._is_routed(scope):
            raise AgentError(ErrorCode.SCOPE_MISSING, f"no scope is known that opens {scope['path']}")

    def _caller(self, scope: MutableMapping[str, Any], rule: Rule | None) -> Caller | None:
        """Who sent a request, None for somebody unknown who asks for what is open; raises AgentError."""
        if not self._access.tokens.required:
            _require_local(scope)
            return LOCAL
        authorization = one_header(scope, b"authorization")
        if authorization is None:
            return self._browser(scope, rule)
        scheme, _, token = authorization.partition(" ")
        if not token:
            raise _no_token()
        token = token.strip() if scheme.lower() == "bearer" else ""
        if scope["path"] == HEALTH_READY and hmac.compare_digest(token.encode(), self._probe_secret):
            return None
        return self._access.authenticate(token, address_of(scope))

    def _browser(self, scope: MutableMapping[str, Any], rule: Rule | None) -> Caller | None:
        """A request without a token: for what is open, or with the cookie of a session."""
        if _is_shell(scope):
            return None
        is_open = rule is not None and rule.open
        caller = None if is_open or (rule is not None and rule.token_only) else self._sessions.caller(cookies_of(scope))
        if caller is None and not is_open:
            raise _no_token()
        _require_own_page(scope)
        if scope["method"] not in READING and one_header(scope, b"origin") is None:
            raise AgentError(ErrorCode.FORBIDDEN_ORIGIN, "a page that changes something names its origin")
        return caller

    async def _noted(self, found: Found, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a change answered, and note who asked for it and what came of it."""
        status: int | None = None

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            self._note(scope, found, status)

    def _note(self, scope: Scope, found: Found, status: int | None) -> None:
        caller = caller_in(scope)
        self._access.audit.note(
            Change(
                token=caller.name if caller is not None else None,
                anonymous=caller is None,
                session=caller is not None and caller.session,
                address=address_of(scope),
                action=found.rule.action or "",
                target=changed_in(scope) or found.parameter,
                status=status,
                request_id=request_id(scope),
            )
        )


def _keep_connection(scope: Scope, caller: Caller) -> None:
    """Whoever sent this has authenticated: its connection makes room for nobody, and ends with what it brought."""
    exchange = exchange_of(scope)
    if exchange is not None:
        exchange.authenticated(caller)


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

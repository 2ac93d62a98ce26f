"""Who may call what: the tokens and scopes of HTTP, looked at before a call's message is read."""

from collections.abc import Iterable, Mapping

from contract import paths
from contract.codes import ErrorCode
from server.access.access import Access, unknown_token
from server.access.audit import Change
from server.access.callers import LOCAL, Caller
from server.errors import AgentError
from server.http.scopes import ANY, RULES, Rule

Metadata = Iterable[tuple[str, str | bytes]]

TWINS: Mapping[str, tuple[str, str]] = {
    "ServerLive": ("GET", paths.V2_LIVE),
    "ServerReady": ("GET", paths.V2_READY),
    "ServerMetadata": ("GET", paths.V2),
    "ModelReady": ("GET", paths.V2_MODEL_READY),
    "ModelMetadata": ("GET", paths.V2_MODEL),
    "ModelConfig": ("GET", paths.V2_MODEL_CONFIG),
    "ModelStatistics": ("GET", paths.V2_MODEL_STATISTICS),
    "ModelInfer": ("POST", paths.V2_INFER),
    "ModelStreamInfer": ("POST", paths.V2_INFER),
    "RepositoryIndex": ("POST", paths.V2_INDEX),
    "RepositoryModelLoad": ("POST", paths.V2_LOAD),
    "RepositoryModelUnload": ("POST", paths.V2_UNLOAD),
}
"""The path that does the same as each call, whose rule holds for both."""

UNKNOWN = Rule(ANY)
"""Of a call that is not there, which is said to whoever has a token."""


class CallAccess:
    """Lets calls through whose token has the scope. Without tokens the agent listens on loopback only, and all may."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def check(self, call: str, metadata: Metadata) -> Caller | None:
        """Who calls, None for somebody unknown who asks for what is open; raises AgentError for one who may not.

        `call` is the name in the protocol: `ModelInfer`.
        """
        rule = _rule(call)
        if not self._access.tokens.required:
            return LOCAL
        token = _token(metadata)
        if token is None:
            if rule.open:
                return None
            detail = "this agent wants a token, and the call brought none"
            hint = "send it as the metadata `authorization: Bearer TOKEN`"
            raise AgentError(ErrorCode.UNAUTHORIZED, detail, hint=hint)
        caller = self._access.tokens.caller(token)
        if caller is None:
            raise unknown_token()
        caller.require(rule.scopes, call)
        return caller

    def count(self, metadata: Metadata, address: str) -> None:
        """A call was refused; raises AgentError TOO_MANY_ATTEMPTS for an address that keeps sending wrong tokens."""
        token = _token(metadata)
        if token is not None:
            self._access.authenticate(token, address)

    def note(self, call: str, metadata: Metadata, address: str, target: str, status: int) -> None:
        """Note a change in the audit log; what changes nothing is not noted. `status`: as HTTP has it."""
        action = _rule(call).action
        if action is None:
            return
        try:
            caller = self.check(call, metadata)
        except AgentError:  # revoked meanwhile
            caller = None
        name = caller.name if caller is not None else None
        self._access.audit.note(Change(name, caller is None, False, address, action, target, status, request_id=""))


def _rule(call: str) -> Rule:
    twin = TWINS.get(call)
    return RULES[twin] if twin is not None else UNKNOWN


def _token(metadata: Metadata) -> str | None:
    """The one bearer token that a call brings."""
    given = [value for name, value in metadata if name == "authorization"]
    if len(given) != 1 or not isinstance(given[0], str):
        return None
    scheme, _, token = given[0].partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None

"""Who may call what: the same token as over HTTP, looked at before a call's message is read."""

import hashlib
import hmac
from collections.abc import Iterable

from contract.codes import ErrorCode
from server.errors import AgentError
from server.http.attempts import WrongAttempts

Metadata = Iterable[tuple[str, str | bytes]]


class Access:
    """Lets calls through that bring the token. Without a token the agent listens on loopback only, and all may call."""

    def __init__(self, token_sha256: str | None) -> None:
        self._token_sha256 = token_sha256
        self._wrong = WrongAttempts("tokens")

    def check(self, call: str, metadata: Metadata) -> None:
        """Raise AgentError for a caller who may not call this; `call` is the name in the protocol: `ModelInfer`."""
        if self._token_sha256 is None:
            return
        token = _token(metadata)
        if token is None:
            detail = "this agent wants a token, and the call brought none"
            hint = "send it as the metadata `authorization: Bearer TOKEN`"
            raise AgentError(ErrorCode.UNAUTHORIZED, detail, hint=hint)
        if not hmac.compare_digest(hashlib.sha256(token.encode()).hexdigest(), self._token_sha256):
            raise AgentError(ErrorCode.UNAUTHORIZED, "this is not the token this agent was started with")

    def count(self, metadata: Metadata, address: str) -> None:
        """A call was refused; raises AgentError TOO_MANY_ATTEMPTS for an address that keeps sending wrong tokens."""
        if _token(metadata) is not None:
            self._wrong.count(address)


def _token(metadata: Metadata) -> str | None:
    """The one bearer token that a call brings."""
    given = [value for name, value in metadata if name == "authorization"]
    if len(given) != 1 or not isinstance(given[0], str):
        return None
    scheme, _, token = given[0].partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None

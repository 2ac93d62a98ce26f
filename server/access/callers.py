"""Whoever asks: a token, a browser whose session was opened with one, or a program of this machine."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from contract.codes import ErrorCode
from contract.tokens import ALL_SCOPES, Scope, included
from server.errors import AgentError

CLOCK_TOLERANCE_S = 60.0
"""A token that expires opens nothing while the clock stands further than this before its making: it was set back."""


@dataclass(eq=False, slots=True)
class Token:
    """A token as the agent knows it: of its secret the SHA-256 alone. Times are seconds since the epoch."""

    name: str
    sha256: str
    """64 hexadecimal digits."""
    scopes: frozenset[Scope]
    created_s: float
    expires_s: float | None = None
    first: bool = False
    last_used_s: float | None = None
    revoked_s: float | None = None
    """On the monotonic clock, which nobody sets back."""

    @property
    def digest(self) -> bytes:
        """The SHA-256 as bytes."""
        return bytes.fromhex(self.sha256)

    @property
    def ends_s(self) -> float:
        """When it expires."""
        return math.inf if self.expires_s is None else self.expires_s

    def is_good(self, now_s: float) -> bool:
        """Whether it opens anything."""
        early = self.expires_s is not None and now_s < self.created_s - CLOCK_TOLERANCE_S
        return self.revoked_s is None and now_s < self.ends_s and not early

    @property
    def keeps_the_agent_open(self) -> bool:
        """Whether tokens can be made with it at any time: an admin's, not revoked, that never expires."""
        return Scope.ADMIN in self.scopes and self.revoked_s is None and self.expires_s is None


@dataclass(eq=False, slots=True)
class Caller:
    """Whoever sent a request, once that is known."""

    token: Token | None
    """None where the agent has no tokens."""
    session: bool = False
    session_ends_s: float = math.inf
    scopes: frozenset[Scope] = field(init=False)
    """What it may do, with all that `admin` includes."""

    def __post_init__(self) -> None:
        self.scopes = ALL_SCOPES if self.token is None else included(self.token.scopes)

    @property
    def name(self) -> str | None:
        """The token's name."""
        return None if self.token is None else self.token.name

    @property
    def ends_s(self) -> float:
        """When it is over by itself: the session ends, or the token expires."""
        return self.session_ends_s if self.token is None else min(self.session_ends_s, self.token.ends_s)

    def is_over(self, since_s: float = 0.0) -> bool:
        """Whether it has been over for so long, by itself or because its token was revoked."""
        revoked_s = None if self.token is None else self.token.revoked_s
        if revoked_s is not None:
            return time.monotonic() >= revoked_s + since_s
        return time.time() >= self.ends_s + since_s

    def require(self, needed: frozenset[Scope], *what: str) -> None:
        """Raise AgentError SCOPE_MISSING unless one of the scopes is there; the words of `what` were asked for."""
        if needed.isdisjoint(self.scopes):
            raise AgentError(ErrorCode.SCOPE_MISSING, self._refusal(needed, what), hint=_hint(needed))

    def _refusal(self, needed: frozenset[Scope], what: Sequence[str]) -> str:
        who = f"this session's token {self.name!r}" if self.session else f"the token {self.name!r}"
        return f"{' '.join(what)} needs the scope {_listed(needed, ' or ')}; {who} has {_listed(self.scopes, ', ')}"


LOCAL = Caller(None)
"""A program of this machine, to an agent without tokens."""


def _listed(scopes: frozenset[Scope], between: str) -> str:
    return between.join(scope for scope in Scope if scope in scopes)


def _hint(needed: frozenset[Scope]) -> str:
    scope = next(scope for scope in Scope if scope in needed)
    return f"who has an admin's token makes one that may: `client tokens create NAME --scope {scope}`"

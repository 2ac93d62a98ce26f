"""The tokens of one agent: made, found by what a request brings, and revoked without a restart."""

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from contract.codes import ErrorCode
from contract.tokens import (
    FIRST_TOKEN,
    TOKENS_MAX,
    NewToken,
    Scope,
    TokenInfo,
    TokenList,
    TokenRequest,
)
from server.access.callers import Caller, Token
from server.access.token_file import TokenFile
from server.errors import AgentError
from server.storage.room import Room

log = logging.getLogger(__name__)

SECRET_BYTES = 32


class Tokens:
    """All tokens of an agent. All methods belong to the event loop's thread."""

    def __init__(self, data: Path, first_sha256: str | None, room: Room) -> None:
        """`first_sha256` is of the token that the agent was started with; None for an agent that wants none."""
        self._file = TokenFile(data)
        self._room = room
        self._changing = asyncio.Lock()
        self._saved_uses: dict[str, float] = {}
        self.required = first_sha256 is not None
        """Whether requests need a token."""
        self._publish([] if first_sha256 is None else self._load(first_sha256))

    @property
    def fault(self) -> str | None:
        """What is wrong with the tokens that were stored, None while all is well."""
        return self._file.damaged

    def caller(self, text: str) -> Caller | None:
        """Whoever sent this token, None where it is none of this agent's; what any protocol asks first.

        Raises AgentError UNAUTHORIZED for a token that was revoked just now, or expired.
        """
        caller = self._find(text) if text else None
        if caller is None or caller.token is None:
            return None
        now_s = time.time()
        if not caller.token.is_good(now_s):
            hint = "who has an admin's token makes another"
            raise AgentError(ErrorCode.UNAUTHORIZED, _why_over(caller.token, now_s), hint=hint)
        caller.token.last_used_s = now_s
        return caller

    def by_sha256(self, sha256: str) -> Token | None:
        """The token with this SHA-256 that opens something, None without any."""
        now_s = time.time()
        return next((token for token in self._tokens if token.sha256 == sha256 and token.is_good(now_s)), None)

    def listing(self) -> TokenList:
        """All tokens, oldest first. Raises AgentError TOKENS_NOT_USED."""
        self._require_used()
        return TokenList(tokens=[_info(token) for token in sorted(self._tokens, key=lambda each: each.created_s)])

    async def create(self, request: TokenRequest) -> NewToken:
        """Make a token; its secret is in what is given back and nowhere else. Raises AgentError."""
        self._require_used()
        async with self._changing:
            kept = self._with_room_for(request.name)
            secret, now_s = secrets.token_urlsafe(SECRET_BYTES), time.time()
            expires_s = None if request.expires_in_s is None else now_s + request.expires_in_s
            token = Token(request.name, _sha256(secret), frozenset(request.scopes), now_s, expires_s)
            self._room.require()
            await asyncio.to_thread(self._file.save, [*kept, token])
            self._publish([*kept, token])
        return NewToken(**_info(token).model_dump(), token=secret)

    async def revoke(self, name: str) -> None:
        """Have a token open nothing any more, at once; raises AgentError.

        STORAGE_FULL means that it opens nothing until the agent starts again: then it has to be revoked again.
        """
        self._require_used()
        async with self._changing:
            token = self._named(name)
            self._require_another_admin(token)
            token.revoked_s = token.revoked_s or time.monotonic()
            rest = [each for each in self._tokens if each is not token]
            try:
                await asyncio.to_thread(self._forget, token, rest)
            except (AgentError, OSError) as error:
                detail = f"the token {name!r} opens nothing now, but that could not be stored: {error}"
                hint = f"make room with `client jobs rm ID`, then `client tokens revoke {name}` again, before a restart"
                raise AgentError(ErrorCode.STORAGE_FULL, detail, hint=hint) from error
            self._publish(rest)

    async def save_uses(self) -> None:
        """Write when tokens were last used, where that changed; a full disk keeps what was there."""
        uses = {token.sha256: token.last_used_s for token in self._tokens if token.last_used_s is not None}
        if uses == self._saved_uses:
            return
        try:
            await asyncio.to_thread(self._file.save_uses, uses)
            self._saved_uses = uses
        except (AgentError, OSError) as error:
            log.warning("when tokens were last used cannot be stored: %s", error)

    def _load(self, first_sha256: str) -> list[Token]:
        stored = self._file.load()
        others = [token for token in stored if not token.first and token.sha256 != first_sha256]
        self._saved_uses = {token.sha256: token.last_used_s for token in stored if token.last_used_s is not None}
        if self._file.is_revoked_first(first_sha256):
            if not others:
                log.error("the token of this agent was revoked: start it with another EDGERUN_TOKEN_SHA256")
            return others
        known = next((token for token in stored if token.first and token.sha256 == first_sha256), None)
        if known is not None and known.scopes == {Scope.ADMIN} and known.expires_s is None:
            return [known, *others]
        first = Token(FIRST_TOKEN, first_sha256, frozenset({Scope.ADMIN}), time.time(), first=True)
        try:
            self._file.save([first, *others])
        except (AgentError, OSError) as error:
            log.warning("the list of tokens cannot be stored: %s", error)
        return [first, *others]

    def _with_room_for(self, name: str) -> list[Token]:
        """The tokens that stay when one of this name is added; those that expired make room."""
        now_s = time.time()
        if name == FIRST_TOKEN:
            raise AgentError(ErrorCode.TOKEN_EXISTS, f"{name!r} is the name of the token that the agent starts with")
        same = next((token for token in self._tokens if token.name == name), None)
        if same is not None and same.is_good(now_s):
            raise AgentError(ErrorCode.TOKEN_EXISTS, f"there is a token {name!r} already")
        kept = [token for token in self._tokens if token is not same]
        if len(kept) >= TOKENS_MAX:
            kept = [token for token in kept if token.is_good(now_s)]
        if len(kept) >= TOKENS_MAX:
            raise AgentError(ErrorCode.TOKENS_FULL, f"there are {TOKENS_MAX} tokens, and no agent has more")
        return kept

    def _publish(self, tokens: list[Token]) -> None:
        """Let these tokens be the ones that are good from now on."""
        self._tokens = tokens
        self._callers = [(token.digest, Caller(token)) for token in tokens]

    def _find(self, text: str) -> Caller | None:
        """Compare a token's SHA-256 with every one's, so that the time this takes tells nothing."""
        presented = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
        found = None
        for digest, caller in self._callers:
            if hmac.compare_digest(digest, presented):
                found = caller
        return found

    def _named(self, name: str) -> Token:
        for token in self._tokens:
            if token.name == name:
                return token
        raise AgentError(ErrorCode.UNKNOWN_TOKEN, f"there is no token {name!r}")

    def _require_another_admin(self, token: Token) -> None:
        if token.keeps_the_agent_open and not any(
            other.keeps_the_agent_open for other in self._tokens if other is not token
        ):
            detail = f"{token.name!r} is the last token with the scope admin that never expires"
            raise AgentError(ErrorCode.LAST_ADMIN, detail)

    def _forget(self, token: Token, rest: list[Token]) -> None:
        if token.first:
            self._even_when_full(lambda: self._file.revoke_first(token))
        self._even_when_full(lambda: self._file.save(rest))

    def _even_when_full(self, write: Callable[[], None]) -> None:
        try:
            write()
        except AgentError:
            if not self._room.release():
                raise
            write()

    def _require_used(self) -> None:
        if not self.required:
            raise AgentError(ErrorCode.TOKENS_NOT_USED, "this agent was started without a token, so it asks for none")


def _why_over(token: Token, now_s: float) -> str:
    if token.revoked_s is not None:
        return f"the token {token.name!r} was revoked"
    if now_s >= token.ends_s:
        return f"the token {token.name!r} expired at {_moment(token.ends_s):%Y-%m-%d %H:%M} UTC"
    made, now = (f"{_moment(each):%Y-%m-%d %H:%M}" for each in (token.created_s, now_s))
    return f"the token {token.name!r} expires, and the device's clock, at {now} UTC, is before its making at {made}"


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _info(token: Token) -> TokenInfo:
    return TokenInfo(
        name=token.name,
        scopes=list(token.scopes),
        created_at=_moment(token.created_s),
        expires_at=None if token.expires_s is None else _moment(token.expires_s),
        expired=not token.is_good(time.time()),
        last_used_at=None if token.last_used_s is None else _moment(token.last_used_s),
        first=token.first,
    )


def _moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)

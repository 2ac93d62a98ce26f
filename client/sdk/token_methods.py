"""The part of both clients that deals with tokens."""

from collections.abc import Sequence

from client.sdk import token_calls
from client.sdk.transport import AsyncTransport, Transport
from contract.tokens import Access, AuditPage, NewToken, Scope, TokenList

AUDIT_LIMIT_DEFAULT = 50


class TokenMethods(Transport):
    """Tokens, blocking."""

    def access(self) -> Access:
        """What the token that is sent may do; every token may ask."""
        return self._run(token_calls.access())

    def tokens(self) -> TokenList:
        """All tokens of the agent, without their secrets; for admins."""
        return self._run(token_calls.tokens())

    def create_token(self, name: str, scopes: Sequence[Scope], expires_in_s: float | None = None) -> NewToken:
        """Make a token; its secret is told this once. For admins."""
        return self._run(token_calls.create_token(name, scopes, expires_in_s))

    def revoke_token(self, name: str) -> None:
        """Have a token open nothing any more; for admins."""
        self._run(token_calls.revoke_token(name))

    def audit(self, limit: int = AUDIT_LIMIT_DEFAULT, before: int | None = None) -> AuditPage:
        """Who changed what, newest first; `before` is the `next` of the page before. For admins."""
        return self._run(token_calls.audit(limit, before))


class AsyncTokenMethods(AsyncTransport):
    """Tokens, for asyncio."""

    async def access(self) -> Access:
        """What the token that is sent may do; every token may ask."""
        return await self._run(token_calls.access())

    async def tokens(self) -> TokenList:
        """All tokens of the agent, without their secrets; for admins."""
        return await self._run(token_calls.tokens())

    async def create_token(self, name: str, scopes: Sequence[Scope], expires_in_s: float | None = None) -> NewToken:
        """Make a token; its secret is told this once. For admins."""
        return await self._run(token_calls.create_token(name, scopes, expires_in_s))

    async def revoke_token(self, name: str) -> None:
        """Have a token open nothing any more; for admins."""
        await self._run(token_calls.revoke_token(name))

    async def audit(self, limit: int = AUDIT_LIMIT_DEFAULT, before: int | None = None) -> AuditPage:
        """Who changed what, newest first; `before` is the `next` of the page before. For admins."""
        return await self._run(token_calls.audit(limit, before))

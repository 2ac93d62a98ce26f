"""The requests around tokens, described once for both clients."""

from collections.abc import Sequence

from client.sdk.answers import LARGE_MAX_BYTES, nothing, reply_as
from client.sdk.calls import JSON_HEADERS, Call, about, located
from contract import paths
from contract.tokens import Access, AuditPage, NewToken, Scope, TokenList, TokenRequest


def access() -> Call[Access]:
    """What the token may do; any token may ask."""
    return Call("GET", paths.ACCESS, reply_as(Access))


def tokens() -> Call[TokenList]:
    """All tokens."""
    return Call("GET", paths.TOKENS, reply_as(TokenList))


def create_token(name: str, scopes: Sequence[Scope], expires_in_s: float | None) -> Call[NewToken]:
    """Make a token. Not repeated by itself: a second attempt would find the name taken, and the secret lost."""
    body = TokenRequest(name=name, scopes=list(scopes), expires_in_s=expires_in_s).model_dump_json().encode()
    parse = about(NewToken, "name", name)
    return Call("POST", paths.TOKENS, parse, headers=JSON_HEADERS, body=body, repeatable=False)


def revoke_token(name: str) -> Call[None]:
    """Revoke a token. Not repeated by itself, as with models."""
    return Call("DELETE", located(paths.TOKEN, name=name), nothing, repeatable=False)


def audit(limit: int, before: int | None) -> Call[AuditPage]:
    """A page of changes, newest first."""
    params = {"limit": limit, **({"before": before} if before is not None else {})}
    return Call("GET", paths.AUDIT, reply_as(AuditPage), params=params, bytes_max=LARGE_MAX_BYTES)

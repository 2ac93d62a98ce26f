"""Tokens: who may ask an agent for what, and what was changed by whom."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from contract.text import Line, Name

TOKEN_SCOPES = "token-scopes"
"""Feature of an agent whose tokens have names and scopes."""
FIRST_TOKEN = "first"
"""The name of the token that an agent is started with."""
TOKENS_MAX = 64
TOKEN_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
EXPIRES_MIN_S = 60.0
EXPIRES_MAX_S = 10 * 366 * 86400.0
AUDIT_PAGE_MAX = 500


class Scope(StrEnum):
    """What a token is good for; docs/security.md has the paths of each."""

    READ = "read"
    """Information, telemetry, metrics, jobs and what they left."""
    INFER = "infer"
    """Models run on what the request brings."""
    RUN = "run"
    """Jobs and models: submit, cancel, push, remove."""
    ADMIN = "admin"
    """Tokens, the default model, and everything that the other scopes allow."""


ALL_SCOPES = frozenset(Scope)


def included(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """The scopes that some scopes amount to: `admin` includes the others."""
    found = frozenset(scopes)
    return ALL_SCOPES if Scope.ADMIN in found else found


def _each_once(scopes: list[Scope]) -> list[Scope]:
    return [scope for scope in Scope if scope in scopes]


Scopes = Annotated[list[Scope], Field(min_length=1, max_length=16), AfterValidator(_each_once)]
"""Each once, in the order of `Scope`."""
TokenName = Annotated[str, Field(pattern=TOKEN_NAME_PATTERN)]


class TokenRequest(BaseModel):
    """What `POST /v1/tokens` takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: TokenName
    scopes: Scopes
    expires_in_s: float | None = Field(default=None, ge=EXPIRES_MIN_S, le=EXPIRES_MAX_S, allow_inf_nan=False)
    """Seconds until it opens nothing any more; None for one that is good until it is revoked."""


class TokenInfo(BaseModel):
    """A token without its secret, of which the agent knows no more than the SHA-256."""

    name: TokenName
    scopes: Scopes
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    expired: bool = False
    last_used_at: AwareDatetime | None = None
    """To the minute or so; None where it was not used yet."""
    first: bool = False
    """Whether it is the one that the agent was started with."""


class NewToken(TokenInfo):
    """`POST /v1/tokens`: a token that was made. Its text is told this once."""

    token: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{20,200}$")]


class TokenList(BaseModel):
    """`GET /v1/tokens`: those that were made, oldest first."""

    tokens: list[TokenInfo]


class Access(BaseModel):
    """`GET /v1/access`: what the one who asks may do, and the little that any client must know before it begins."""

    token: TokenName | None
    """The name of the token that was sent, or that the browser's session was opened with; None where none is needed."""
    scopes: list[Scope]
    """What it amounts to: all four where `admin` is among them."""
    expires_at: AwareDatetime | None = None
    agent_version: Name
    features: list[Name]


class AuditEntry(BaseModel):
    """A change, or an attempt at one."""

    number: int = Field(ge=1)
    """Counts up; a page ends before one of them."""
    at: AwareDatetime
    token: Name | None
    """Who: the name of a token; None on an agent without any, and for those who brought none."""
    session: bool = False
    """Whether it came from a browser, whose session was opened with that token."""
    address: Name
    action: Name
    """What: `job.submit`, `token.revoke`, ..."""
    target: Line | None = None
    """The job, model, token or file."""
    status: int | None = None
    """How it was answered; None where the sender hung up before, and for lines that sum up."""
    count: int = Field(default=1, ge=1)
    """How many attempts a line stands for."""
    request_id: Name | None = None


class AuditPage(BaseModel):
    """`GET /v1/audit`: newest first."""

    entries: list[AuditEntry]
    next: int | None = None
    """What `before` takes to go on; None at the end."""

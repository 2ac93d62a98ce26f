"""Tokens: what one may do, and for admins those of others, and who changed what."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response, status

from contract.paths import ACCESS, AUDIT, TOKEN, TOKENS
from contract.specs import NUMBER_MAX
from contract.tokens import (
    AUDIT_PAGE_MAX,
    TOKEN_NAME_PATTERN,
    Access,
    AuditPage,
    NewToken,
    Scope,
    TokenList,
    TokenRequest,
)
from server.http.callers import caller_in, keep_changed
from server.http.openapi import header
from server.routes import AgentDependency, problems

router = APIRouter(tags=["tokens"])

Name = Annotated[str, Path(pattern=TOKEN_NAME_PATTERN)]


@router.get(ACCESS, operation_id="access")
async def access(request: Request, agent: AgentDependency) -> Access:
    """What the token of this request, or the session of this browser, may do; any token may ask."""
    return agent.access_of(caller_in(request.scope))


@router.get(TOKENS, operation_id="list_tokens", responses=problems(409))
async def list_tokens(agent: AgentDependency) -> TokenList:
    """All tokens by name, with what each may do and when it was last used; never their secrets."""
    return agent.access.tokens.listing()


@router.post(
    TOKENS,
    operation_id="create_token",
    status_code=status.HTTP_201_CREATED,
    responses={**problems(409, 422, 507), 201: {"headers": header("Location", "Path of the token")}},
)
async def create_token(wanted: TokenRequest, request: Request, agent: AgentDependency, response: Response) -> NewToken:
    """Make a token. Its secret is told in this answer and never again: the agent keeps its SHA-256."""
    keep_changed(request.scope, _described(wanted))
    made = await agent.access.tokens.create(wanted)
    response.headers["location"] = TOKEN.format(name=made.name)
    return made


@router.delete(
    TOKEN,
    operation_id="revoke_token",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409, 422, 507),
)
async def revoke_token(name: Name, agent: AgentDependency) -> None:
    """Have a token open nothing any more, at once; its sessions and streams end within seconds."""
    await agent.access.tokens.revoke(name)


@router.get(AUDIT, operation_id="audit", responses=problems(422))
async def audit(
    agent: AgentDependency,
    limit: Annotated[int, Query(ge=1, le=AUDIT_PAGE_MAX)] = 50,
    before: Annotated[int | None, Query(ge=1, le=NUMBER_MAX)] = None,
) -> AuditPage:
    """Who changed what, newest first; `next` is the value of `before` for the next page."""
    return await agent.access.audit.page(limit, before)


def _described(wanted: TokenRequest) -> str:
    """A token that is to be made, for the audit log: the name, and what it may do."""
    return f"{wanted.name} ({', '.join(scope for scope in Scope if scope in wanted.scopes)})"

"""Sessions of browsers: a code for who has the token, a cookie for who has the code."""

from fastapi import APIRouter, Request, Response, status

from contract.paths import SESSION, SESSION_CODES
from contract.session import Session, SessionCode, SessionRequest
from server.access.callers import LOCAL
from server.http.auth import address_of
from server.http.callers import caller_in, keep_caller
from server.http.openapi import header
from server.http.sessions import cookies_of
from server.routes import AgentDependency, problems

router = APIRouter(tags=["session"])


@router.post(SESSION_CODES, operation_id="new_session_code", status_code=status.HTTP_201_CREATED)
async def new_session_code(request: Request, agent: AgentDependency) -> SessionCode:
    """A one-time code for `https://AGENT/#CODE`, where the live page exchanges it for a cookie."""
    return agent.sessions.new_code(caller_in(request.scope) or LOCAL)


@router.post(
    SESSION,
    operation_id="open_session",
    status_code=status.HTTP_201_CREATED,
    responses={**problems(422, 507), 201: {"headers": header("Set-Cookie", "The session")}},
)
async def open_session(wanted: SessionRequest, request: Request, agent: AgentDependency, response: Response) -> Session:
    """Exchange a code for a cookie. Needs no token; a code is good once."""
    session, cookie, caller = agent.sessions.open(wanted.code, address_of(request.scope))
    keep_caller(request.scope, caller)
    response.headers["set-cookie"] = cookie
    return session


@router.delete(
    SESSION,
    operation_id="end_session",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={**problems(507), 204: {"headers": header("Set-Cookie", "Has the browser forget the session")}},
)
async def end_session(request: Request, agent: AgentDependency, response: Response) -> None:
    """End the browser's session."""
    response.headers["set-cookie"] = agent.sessions.end(cookies_of(request.scope))

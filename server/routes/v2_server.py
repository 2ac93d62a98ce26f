"""The server as a whole: is it there, does it answer, what can it do?"""

from fastapi import APIRouter, Response

from contract.codes import ErrorCode
from contract.openinference import ServerLive, ServerMetadata, ServerReady
from contract.paths import V2, V2_LIVE, V2_READY
from server.errors import FAULTS
from server.http.openapi import refusals
from server.routes import AgentDependency

router = APIRouter(tags=["open inference protocol"])


@router.get(V2, operation_id="v2_server")
async def metadata(agent: AgentDependency) -> ServerMetadata:
    """Name, version and extensions."""
    return agent.open_inference.server()


@router.get(V2_LIVE, operation_id="v2_live")
async def live() -> ServerLive:
    """The agent's process answers; needs no token, as `/health/live`."""
    return ServerLive(live=True)


@router.get(V2_READY, operation_id="v2_ready", responses={**refusals(), 503: {"model": ServerReady}})
async def ready(agent: AgentDependency, response: Response) -> ServerReady:
    """A request sent now is answered at once; 503 when it is not."""
    if not agent.ready:
        response.status_code = FAULTS[ErrorCode.NOT_READY].status
    return ServerReady(ready=agent.ready)

"""Liveness for whoever keeps the process running, readiness for whoever sends it work."""

from fastapi import APIRouter

from contract.codes import ErrorCode
from contract.info import Health
from contract.paths import HEALTH_LIVE, HEALTH_READY
from server.errors import AgentError
from server.routes import AgentDependency

router = APIRouter(tags=["health"])


@router.get(HEALTH_LIVE, operation_id="live", response_model_exclude_defaults=True)
async def live() -> Health:
    """The agent's process answers. The only path that is open without a token."""
    return Health(status="live")


@router.get(HEALTH_READY, operation_id="ready")
async def ready(agent: AgentDependency) -> Health:
    """A worker is up, so a picture sent now is answered at once, and the queue of jobs is at work."""
    if agent.draining:
        raise AgentError(ErrorCode.SHUTTING_DOWN, "the agent finishes what runs and then stops")
    if not agent.ready:
        agent.pools.default.check_able()
        raise AgentError(ErrorCode.NOT_READY, agent.provided.missing or "no worker is up yet")
    if (fault := agent.jobs.fault) is not None:
        raise AgentError(ErrorCode.NOT_READY, f"no job is run: {fault}")
    return Health(status="ready", notes=agent.notes)

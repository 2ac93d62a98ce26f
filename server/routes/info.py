"""What the agent is and what it may use."""

from fastapi import APIRouter

from contract.info import AgentInfo
from contract.paths import INFO
from server.routes import AgentDependency, problems

router = APIRouter(tags=["info"])


@router.get(INFO, operation_id="info", responses=problems())
async def info(agent: AgentDependency) -> AgentInfo:
    """Agent, device, runtimes, limits."""
    return agent.info()

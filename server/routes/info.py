"""What the agent is and what it may use."""

import asyncio

from fastapi import APIRouter

from contract.info import AgentInfo, RuntimeList
from contract.paths import INFO, RUNTIMES
from server.routes import AgentDependency

router = APIRouter(tags=["info"])


@router.get(INFO, operation_id="info")
async def info(agent: AgentDependency) -> AgentInfo:
    """Agent, device, runtimes, limits."""
    return agent.info()


@router.get(RUNTIMES, operation_id="runtimes")
async def runtimes(agent: AgentDependency) -> RuntimeList:
    """Runtimes and the devices of each, with the reason for those that cannot be used. Slow the first time."""
    return await asyncio.to_thread(agent.runtimes)

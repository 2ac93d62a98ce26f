"""The lease of the device, as `provision` tells it."""

from fastapi import APIRouter

from contract.lease import LeaseTime
from contract.paths import LEASE
from server.routes import AgentDependency, problems

router = APIRouter(tags=["info"])


@router.get(LEASE, operation_id="lease")
async def lease(agent: AgentDependency) -> LeaseTime:
    """How long the device is ours, as far as the agent was told."""
    return agent.jobs.lease.now


@router.put(LEASE, operation_id="set_lease", responses=problems(422))
async def set_lease(lease: LeaseTime, agent: AgentDependency) -> LeaseTime:
    """Tell the agent when its device is taken away; jobs that measure for longer than that are refused."""
    agent.jobs.lease.set(lease)
    return agent.jobs.lease.now

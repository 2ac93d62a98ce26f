"""The lease of the device, as `provision` tells it."""

from fastapi import APIRouter, Request

from contract.lease import LeaseTime
from contract.paths import LEASE
from server.http.callers import keep_changed
from server.routes import AgentDependency, problems

router = APIRouter(tags=["info"])


@router.get(LEASE, operation_id="lease")
async def lease(agent: AgentDependency) -> LeaseTime:
    """How long the device is ours, as far as the agent was told."""
    return agent.jobs.lease.now


@router.put(LEASE, operation_id="set_lease", responses=problems(422))
async def set_lease(lease: LeaseTime, request: Request, agent: AgentDependency) -> LeaseTime:
    """Tell the agent when its device is taken away; jobs that measure for longer than that are refused."""
    keep_changed(request.scope, "no end" if lease.left_s is None else f"ends in {lease.left_s:.0f} s")
    agent.jobs.lease.set(lease)
    return agent.jobs.lease.now

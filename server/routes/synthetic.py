"""Models that the agent writes itself."""

from fastapi import APIRouter, Response, status

from contract.models import ModelDescription, SyntheticModels
from contract.paths import SYNTHETIC_MODEL, SYNTHETIC_MODELS
from server.routes import AgentDependency, problems, unchanged

router = APIRouter(tags=["models"])


@router.get(SYNTHETIC_MODELS, operation_id="list_synthetic_models")
async def list_synthetic_models(agent: AgentDependency) -> SyntheticModels:
    """Models of well-known architectures with synthetic weights. A job that names one has it written first."""
    return agent.synthetic.list()


@router.put(
    SYNTHETIC_MODEL,
    operation_id="write_synthetic_model",
    status_code=status.HTTP_201_CREATED,
    responses={**problems(404, 422, 507), **unchanged(ModelDescription, "It was there")},
)
async def write_synthetic_model(name: str, agent: AgentDependency, response: Response) -> ModelDescription:
    """Write one, in a process of its own; it is then a model like any other. 200 when it was there."""
    description, created = await agent.synthetic.write(name)
    response.status_code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
    return description

"""One model: does it answer, what does it take, how is it set up, what has it done?"""

from fastapi import APIRouter, Response

from contract.openinference import ModelConfig, ModelMetadata, ModelReady, StatisticsReply
from contract.paths import V2_MODEL, V2_MODEL_CONFIG, V2_MODEL_READY, V2_MODEL_STATISTICS, V2_STATISTICS, of_version
from server.http.openapi import refusals
from server.routes import AgentDependency

router = APIRouter(tags=["open inference protocol"], responses=refusals(404, 422))

NOT_READY = 400
"""What Triton answers for a model that is there and does not answer."""


@router.get(V2_STATISTICS, operation_id="v2_statistics_of_all")
async def statistics_of_all(agent: AgentDependency) -> StatisticsReply:
    """What every model has done since the agent started."""
    return StatisticsReply(model_stats=agent.open_inference.statistics(None, None))


@router.get(V2_MODEL_STATISTICS, operation_id="v2_statistics")
@router.get(of_version(V2_MODEL_STATISTICS), operation_id="v2_statistics_version")
async def statistics(agent: AgentDependency, name: str, version: str | None = None) -> StatisticsReply:
    """What a model has done over this protocol since the agent started."""
    return StatisticsReply(model_stats=agent.open_inference.statistics(name, version))


@router.get(V2_MODEL_READY, operation_id="v2_model_ready", responses={NOT_READY: {"model": ModelReady}})
@router.get(
    of_version(V2_MODEL_READY), operation_id="v2_model_ready_version", responses={NOT_READY: {"model": ModelReady}}
)
async def ready(agent: AgentDependency, response: Response, name: str, version: str | None = None) -> ModelReady:
    """Whether a model answers."""
    found = agent.ready and agent.open_inference.ready(name, version)
    if not found:
        response.status_code = NOT_READY
    return ModelReady(name=name, ready=found)


@router.get(V2_MODEL_CONFIG, operation_id="v2_config")
@router.get(of_version(V2_MODEL_CONFIG), operation_id="v2_config_version")
async def config(agent: AgentDependency, name: str, version: str | None = None) -> ModelConfig:
    """A model's configuration as Triton would have it."""
    return agent.open_inference.config(name, version)


@router.get(V2_MODEL, operation_id="v2_model")
@router.get(of_version(V2_MODEL), operation_id="v2_model_version")
async def metadata(agent: AgentDependency, name: str, version: str | None = None) -> ModelMetadata:
    """Names, datatypes and shapes of a model's inputs and outputs."""
    return agent.open_inference.metadata(name, version)

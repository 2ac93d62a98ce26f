"""The models an agent holds, and which one is the default."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response, status

from contract.models import MODEL_NAME_PATTERN, DefaultModel, ModelDescription, ModelList, ModelManifest
from contract.paths import DEFAULT_MODEL, MODEL, MODELS
from server.http.callers import keep_changed
from server.http.openapi import header
from server.routes import AgentDependency, problems, unchanged

router = APIRouter(tags=["models"])

TAG = header("ETag", "The model's digest")
NewName = Annotated[str, Path(pattern=MODEL_NAME_PATTERN)]


@router.get(MODELS, operation_id="list_models")
async def list_models(agent: AgentDependency) -> ModelList:
    """All models, by name."""
    return agent.registry.list()


@router.get(MODEL, operation_id="describe_model", responses={**problems(404), 200: {"headers": TAG}})
async def describe_model(name: str, agent: AgentDependency, response: Response) -> ModelDescription:
    """One model: tensors, preprocessing, and which runtimes could run it."""
    description = agent.registry.describe(agent.registry.find(name))
    response.headers["etag"] = f'"{description.digest}"'
    return description


@router.put(
    MODEL,
    operation_id="put_model",
    status_code=status.HTTP_201_CREATED,
    responses={
        **problems(404, 409, 422, 507),
        **unchanged(ModelDescription, "The very same model was there", TAG),
        status.HTTP_201_CREATED: {"headers": TAG},
    },
)
async def put_model(
    name: NewName, manifest: ModelManifest, agent: AgentDependency, response: Response
) -> ModelDescription:
    """Name files that were uploaded as blobs. They are loaded and run once in a throw-away process first.

    201 when the model is new or replaced, 200 when the very same was there.
    """
    agent.room.require()
    description, changed = await agent.registry.put(name, manifest)
    response.status_code = status.HTTP_201_CREATED if changed else status.HTTP_200_OK
    response.headers["etag"] = f'"{description.digest}"'
    return description


@router.delete(MODEL, operation_id="delete_model", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404, 409))
async def delete_model(name: str, agent: AgentDependency) -> None:
    """Remove a model; requests under way are still answered."""
    agent.registry.remove(name)


@router.get(DEFAULT_MODEL, operation_id="get_default_model")
async def get_default_model(agent: AgentDependency) -> DefaultModel:
    """The model that answers requests which name none."""
    return DefaultModel(name=agent.store.default.description.name)


@router.put(DEFAULT_MODEL, operation_id="choose_default_model", responses=problems(404, 422, 507))
async def choose_default_model(choice: DefaultModel, request: Request, agent: AgentDependency) -> DefaultModel:
    """Choose the model that answers requests which name none."""
    keep_changed(request.scope, choice.name)
    agent.registry.choose_default(choice.name)
    return choice

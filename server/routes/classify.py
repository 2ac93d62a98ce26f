"""Classify pictures."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from contract.classify import (
    BatchReply,
    ClassifyOptions,
    ClassifyReply,
    ImageInfo,
    ImageReply,
    QuantMode,
)
from contract.classify import Prediction as ClassScore
from contract.paths import CLASSIFY, CLASSIFY_WITH
from contract.tasks import Task
from server.inference import Prediction
from server.routes.images import MODEL_NAME, ImageRoute

router = APIRouter(tags=["classify"])


def _order(options: ClassifyOptions) -> dict[str, Any]:
    return {"top_k": options.top_k, "legacy": options.quant is QuantMode.LEGACY_SAMPLE}


def _reply(found: Prediction, labels: Mapping[int, str], request_id: str) -> ClassifyReply:
    result = found.answer.result
    return ClassifyReply(
        request_id=request_id,
        model=found.model,
        runtime=found.runtime,
        predictions=[
            ClassScore(index=index, label=labels.get(index), score=score)
            for index, score in zip(result["indices"], result["scores"], strict=True)
        ],
        scores="softmax" if result["logits"] else "model",
        image=ImageInfo.model_validate(found.answer.image),
        timing_ms=found.timing_ms,
    )


ROUTE = ImageRoute(Task.CLASSIFICATION, ClassifyOptions, _order, _reply, ImageReply, BatchReply)


@router.post(
    CLASSIFY,
    operation_id="classify",
    description="Classify with the agent's default model.",
    **ROUTE.described(ClassifyReply),
)
@router.post(
    CLASSIFY_WITH,
    operation_id="classify_with",
    description="Classify with a named model.",
    **ROUTE.described(ClassifyReply, MODEL_NAME),
)
async def classify(request: Request) -> Response:
    """Classify what the request brings; raises AgentError."""
    return await ROUTE.answer(request)

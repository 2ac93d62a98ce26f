"""Find objects in pictures."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from contract.classify import ImageInfo
from contract.detect import Box, DetectBatchReply, DetectImageReply, Detection, DetectOptions, DetectReply
from contract.paths import DETECT_WITH
from contract.tasks import Task
from server.inference import Prediction
from server.routes.images import MODEL_NAME, ImageRoute

router = APIRouter(tags=["detect"])


def _order(options: DetectOptions) -> dict[str, Any]:
    return options.model_dump(include={"min_score", "iou_threshold", "max_detections"})


def _reply(found: Prediction, labels: Mapping[int, str], request_id: str) -> DetectReply:
    result = found.answer.result
    rows = zip(result["indices"], result["scores"], result["boxes"], strict=True)
    return DetectReply(
        request_id=request_id,
        model=found.model,
        runtime=found.runtime,
        detections=[
            Detection(index=index, label=labels.get(index), score=score, box_px=_box(*edges))
            for index, score, edges in rows
        ],
        image=ImageInfo.model_validate(found.answer.image),
        timing_ms=found.timing_ms,
    )


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    return Box(left=left, top=top, right=right, bottom=bottom)


ROUTE = ImageRoute(Task.DETECTION, DetectOptions, _order, _reply, DetectImageReply, DetectBatchReply)


@router.post(
    DETECT_WITH,
    operation_id="detect_with",
    description="Find objects with a named model.",
    **ROUTE.described(DetectReply, MODEL_NAME),
)
async def detect(request: Request) -> Response:
    """Find objects in what the request brings; raises AgentError."""
    return await ROUTE.answer(request)

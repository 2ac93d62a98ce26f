"""What the agent says of an uploaded model: as it was declared, else as its tensors let guess."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from contract.codes import ErrorCode
from contract.digests import identity
from contract.models import Fit, ModelDescription, ModelManifest, Outputs, Preprocessing, TensorInfo
from contract.tasks import DetectionForm, Task
from server.errors import AgentError
from server.models.stored_model import WRONG_TASK
from server.models.trial import TrialFinding

_STORED_RANGES = {"uint8": (0, 255), "int8": (-128, 127)}


def describe(
    name: str, manifest: ModelManifest, size_bytes: int, label_count: int | None, findings: dict[str, TrialFinding]
) -> ModelDescription:
    """Put together what was declared and what the trials found, of which one at least went well; raises AgentError."""
    found = next(finding for finding in findings.values() if finding.check.ok)
    task = _task(manifest, found)
    classifies = task is Task.CLASSIFICATION
    preprocessing = _preprocessing(manifest, found, task)
    return ModelDescription(
        name=name,
        digest=identity(manifest.model, manifest.parts),
        format=manifest.format,
        parts=sorted(manifest.parts),
        size_bytes=size_bytes,
        embedded=False,
        inputs=list(found.inputs),
        outputs=list(found.outputs),
        task=task,
        task_assumed=manifest.task is None,
        unfit=dict(found.unfit),
        detection=found.detection if task is Task.DETECTION else None,
        class_count=_class_count(task, found),
        label_count=label_count,
        preprocessing=preprocessing,
        preprocessing_assumed=preprocessing is not None and manifest.preprocessing is None,
        output_kind=_output_kind(manifest.outputs, found) if classifies else None,
        runtimes={runtime: finding.check for runtime, finding in findings.items()},
        uploaded_at=datetime.now(UTC),
        source=manifest.source,
        licence=manifest.licence,
    )


def _task(manifest: ModelManifest, found: TrialFinding) -> Task:
    """The declared task, where the tensors fit it, else the first that they fit."""
    if manifest.task is None:
        return next(task for task in Task if task not in found.unfit)
    if manifest.task in found.unfit:
        hint = "leave the task out: the agent then takes one that fits"
        raise AgentError(WRONG_TASK[manifest.task], found.unfit[manifest.task], hint=hint)
    return manifest.task


def _class_count(task: Task, found: TrialFinding) -> int | None:
    if task is Task.CLASSIFICATION:
        return found.outputs[0].shape[-1]
    return found.detector_classes if task is Task.DETECTION else None


def _output_kind(declared: Outputs, found: TrialFinding) -> Literal["logits", "probabilities"]:
    if declared is Outputs.AUTO:
        return "probabilities" if found.looks_like_probabilities else "logits"
    return "logits" if declared is Outputs.LOGITS else "probabilities"


def _preprocessing(manifest: ModelManifest, found: TrialFinding, task: Task) -> Preprocessing | None:
    """How a picture becomes the input, as declared or as its type suggests; None for a model that takes none."""
    if found.takes_no_image_because is not None:
        if manifest.preprocessing is None:
            return None
        raise AgentError(
            ErrorCode.INVALID_REQUEST, f"preprocessing is for pictures, and {found.takes_no_image_because}"
        )
    source = found.inputs[0]
    if manifest.preprocessing is None:
        try:
            return Preprocessing(input_range=_stored_range(source), fit=_usual_fit(task, found))
        except ValidationError as error:
            if task is Task.TENSOR:
                return None
            low, high = _stored_range(source)
            detail = f"its input stores real values from {low:g} to {high:g}, which no picture has"
            raise AgentError(ErrorCode.MODEL_REJECTED, detail, hint="declare preprocessing.input_range") from error
    ranges = manifest.preprocessing.input_range
    if isinstance(ranges, list) and len(ranges) != found.channels:
        detail = f"preprocessing.input_range holds {len(ranges)} pairs, the input has {found.channels} channels"
        raise AgentError(ErrorCode.INVALID_REQUEST, detail)
    return manifest.preprocessing


def _usual_fit(task: Task, found: TrialFinding) -> Fit:
    """How models of a kind are trained: YOLO heads on letterboxed pictures."""
    boxes = found.detection if task is Task.DETECTION else None
    yolo = boxes is not None and boxes.form in (DetectionForm.YOLO_V5, DetectionForm.YOLO_V8)
    return Fit.LETTERBOX if yolo else Fit.STRETCH


def _stored_range(source: TensorInfo) -> tuple[float, float]:
    """Pixels stored as they are for quantised inputs, and 0 to 1 for float ones."""
    if source.scale is None or source.dtype not in _STORED_RANGES:
        return 0.0, 1.0
    low, high = ((stored - (source.zero_point or 0)) * source.scale for stored in _STORED_RANGES[source.dtype])
    return low, high

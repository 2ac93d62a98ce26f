"""A model as the agent holds it: what is known about it, and where its files are."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from contract.codes import ErrorCode
from contract.models import DetectionReading, Fit, ModelDescription, ModelManifest, Preprocessing, TensorInfo
from contract.tasks import Task
from image_model.catalog import EMBEDDED_FOLDER, CatalogEntry, embedded_entries
from image_model.labels import LabelError, parse_labels
from server.errors import AgentError
from server.workers.messages import ImageFeed, ModelSource, ModelSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredModel:
    """A model the agent can run: what is known about it and where its files are."""

    description: ModelDescription
    source: ModelSource
    labels_path: Path | None
    manifest: ModelManifest | None
    """What was declared when it was put; None for an embedded model."""

    @cached_property
    def labels(self) -> Mapping[int, str]:
        """Names by class index; empty when the model came without labels that can be read."""
        try:
            return parse_labels(self.labels_path.read_bytes()) if self.labels_path else {}
        except LabelError as error:  # kept by an agent that took more than this one
            log.warning("the labels of model %s are left out: %s", self.description.name, error)
            return {}

    @property
    def classifies(self) -> bool:
        """Whether it ranks classes of pictures."""
        return self.description.task is Task.CLASSIFICATION and self.description.preprocessing is not None

    @cached_property
    def spec(self) -> ModelSpec:
        """What a worker needs."""
        described = self.description
        image = described.preprocessing
        return ModelSpec(
            source=self.source,
            task=described.task,
            image=ImageFeed(image.input_range, image.fit) if image is not None else None,
            reading=_reading(described),
            labels=str(self.labels_path) if self.labels_path else None,
        )

    def require(self, task: Task) -> None:
        """Raise AgentError for a model of another task."""
        if self.description.task is task:
            return
        of_another = f"{self.description.name} is a model for {self.description.task}"
        because = self.description.unfit.get(task)
        detail = f"{of_another}: {because}" if because else of_another
        raise AgentError(WRONG_TASK[task], detail)

    def require_image(self) -> None:
        """Raise AgentError for a model that takes no picture."""
        if self.description.preprocessing is None:
            raise AgentError(ErrorCode.TAKES_NO_IMAGE, f"{self.description.name} takes tensors of numbers")


WRONG_TASK = {Task.CLASSIFICATION: ErrorCode.NOT_A_CLASSIFIER, Task.DETECTION: ErrorCode.NOT_A_DETECTOR}
"""What is said of a model that does not fit a task; all fit TENSOR."""


def _reading(described: ModelDescription) -> dict[str, str]:
    if described.task is Task.CLASSIFICATION:
        return {"outputs": described.output_kind or "probabilities"}
    if described.task is Task.DETECTION and described.detection is not None:
        boxes = {name: str(value) for name, value in described.detection.model_dump(exclude_none=True).items()}
        return boxes | ({"class_count": str(described.class_count)} if described.class_count else {})
    return {}


def embedded_models() -> Mapping[str, StoredModel]:
    """The models that ship with the agent, by name."""
    return {name: _embedded(entry) for name, entry in embedded_entries().items()}


def _embedded(entry: CatalogEntry) -> StoredModel:
    card = json.loads((EMBEDDED_FOLDER / f"{entry.name}.json").read_bytes())
    labels_path = EMBEDDED_FOLDER / entry.labels.name
    classes = len(parse_labels(labels_path.read_bytes()))
    classifies = entry.task is Task.CLASSIFICATION
    description = ModelDescription(
        name=entry.name,
        digest=entry.model.digest,
        format="tflite",
        size_bytes=entry.model.size_bytes,
        embedded=True,
        inputs=[TensorInfo(**fields) for fields in card["inputs"]],
        outputs=[TensorInfo(**fields) for fields in card["outputs"]],
        task=entry.task,
        detection=DetectionReading(form=entry.form, coordinates=entry.coordinates) if entry.form else None,
        class_count=classes,
        label_count=classes,
        preprocessing=Preprocessing(input_range=entry.input_range, fit=Fit(entry.fit)),
        output_kind="probabilities" if classifies else None,
        runtimes={},
        source=entry.source,
        licence=entry.licence,
    )
    source = ModelSource("tflite", str(EMBEDDED_FOLDER / entry.model.name), entry.model.digest, {})
    return StoredModel(description, source, labels_path, manifest=None)

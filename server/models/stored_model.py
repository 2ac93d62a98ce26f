"""A model as the agent holds it: what is known about it, and where its files are."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from contract.codes import ErrorCode
from contract.models import Fit, ModelDescription, ModelManifest, Preprocessing, TensorInfo
from image_model.catalog import EMBEDDED_FOLDER, EMBEDDED_MODEL, load_catalog
from image_model.labels import LabelError, parse_labels
from server.errors import AgentError
from server.workers.messages import ModelSource, ModelSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredModel:
    """A model the agent can run: what is known about it and where its files are."""

    description: ModelDescription
    source: ModelSource
    labels_path: Path | None
    manifest: ModelManifest | None
    """What was declared when it was put; None for the embedded model."""

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
        """Whether pictures can be given to it."""
        return self.description.classifier and self.description.preprocessing is not None

    @cached_property
    def spec(self) -> ModelSpec:
        """What a worker needs; raises AgentError when the model does not classify pictures."""
        described = self.description
        if not described.classifier or described.preprocessing is None:
            detail = f"{described.name}: {described.not_a_classifier_because}"
            raise AgentError(ErrorCode.NOT_A_CLASSIFIER, detail)
        return ModelSpec(
            source=self.source,
            input_range=described.preprocessing.input_range,
            fit=described.preprocessing.fit,
            logits=described.output_kind == "logits",
        )


def embedded_model() -> StoredModel:
    """The model that ships with the agent."""
    entry = load_catalog()[EMBEDDED_MODEL]
    card = json.loads((EMBEDDED_FOLDER / f"{EMBEDDED_MODEL}.json").read_bytes())
    description = ModelDescription(
        name=entry.name,
        digest=entry.model.digest,
        format="tflite",
        size_bytes=entry.model.size_bytes,
        embedded=True,
        inputs=[TensorInfo(**fields) for fields in card["inputs"]],
        outputs=[TensorInfo(**fields) for fields in card["outputs"]],
        classifier=True,
        class_count=card["outputs"][0]["shape"][-1],
        label_count=card["outputs"][0]["shape"][-1],
        preprocessing=Preprocessing(input_range=entry.input_range, fit=Fit(entry.fit)),
        output_kind="probabilities",
        runtimes={},
        source=entry.source,
        licence=entry.licence,
    )
    folder = EMBEDDED_FOLDER
    source = ModelSource("tflite", str(folder / entry.model.name), entry.model.digest, {})
    return StoredModel(description, source, folder / entry.labels.name, manifest=None)

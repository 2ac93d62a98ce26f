"""What both transports of the Open Inference Protocol ask the agent for."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from contract.codes import ErrorCode
from contract.openinference import (
    MODEL_READY,
    MODEL_UNAVAILABLE,
    DurationStatistic,
    IndexEntry,
    InferenceStatistics,
    ModelConfig,
    ModelMetadata,
    ModelStatistics,
    ServerMetadata,
)
from contract.paths import V2_LOAD
from contract.tensors import MODEL_VERSION
from server import __version__
from server.errors import AgentError
from server.inference import Admitted, InferenceService
from server.metrics.inferences import InferenceLog, InferenceRequest, ModelFigures, Total
from server.models.registry import ModelRegistry
from server.models.stored_model import StoredModel
from server.openinference.metadata import model_config, model_metadata
from server.openinference.worker.format import BodyFormat
from server.workers.arena import Slot
from server.workers.messages import Inferred

EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics"]
UNLOADED = "unloaded"
"""The reason in the index for a model that does not answer; Triton's word."""


@dataclass(frozen=True)
class Called:
    """A model that a request may go ahead with."""

    admitted: Admitted
    name: str


class OpenInference:
    """Models as the protocol sees them. Its methods belong to the event loop's thread."""

    def __init__(
        self, registry: ModelRegistry, inference: InferenceService, inferences: InferenceLog, max_body_bytes: int
    ) -> None:
        self._registry = registry
        self._inference = inference
        self._max_body_bytes = max_body_bytes
        self._unloaded: dict[str, str] = {}
        """Digests by name: a model that is put anew is loaded."""
        self._one_load = asyncio.Lock()
        self._inferences = inferences

    def server(self) -> ServerMetadata:
        """Name, version and extensions of this server."""
        return ServerMetadata(name="edgerun", version=__version__, extensions=EXTENSIONS)

    def find(self, name: str, version: str | None) -> StoredModel:
        """A model by name and version; no version, or an empty one, is the only one. Raises AgentError."""
        model = self._registry.find(name)
        if version and version != MODEL_VERSION:
            detail = f"{name} has no version {version!r}: every model here has the one version {MODEL_VERSION}"
            raise AgentError(ErrorCode.UNKNOWN_MODEL, detail, hint="leave the version out")
        return model

    def loaded(self, model: StoredModel) -> bool:
        """Whether nobody unloaded it."""
        description = model.description
        return self._unloaded.get(description.name) != description.digest

    def ready(self, name: str, version: str | None) -> bool:
        """Whether a model answers; raises AgentError for one that is not there."""
        return self.loaded(self.find(name, version))

    def metadata(self, name: str, version: str | None) -> ModelMetadata:
        """What a model takes and gives; raises AgentError."""
        return model_metadata(self.find(name, version).description, self._max_body_bytes)

    def config(self, name: str, version: str | None) -> ModelConfig:
        """A model's configuration; raises AgentError."""
        return model_config(self.find(name, version).description, self._max_body_bytes)

    def index(self, *, ready_only: bool) -> list[IndexEntry]:
        """Every model on the agent, the damaged and the unloaded with the reason."""
        found = [_entry(model.description.name, None if self.loaded(model) else UNLOADED) for model in self._models()]
        found += [_entry(name, reason) for name, reason in sorted(self._registry.store.damaged.items())]
        return [entry for entry in found if entry.state == MODEL_READY or not ready_only]

    async def load(self, name: str) -> None:
        """Have the workers load a model, and let it answer; raises AgentError."""
        model = self.find(name, None)
        async with self._one_load:
            await self._inference.warm_up(model)
        self._unloaded.pop(name, None)

    def unload(self, name: str) -> None:
        """Let a model answer no more over this protocol; its files stay. Raises AgentError."""
        self._unloaded = {name: digest for name, digest in self._unloaded.items() if self._registry.store.find(name)}
        self._unloaded[name] = self.find(name, None).description.digest

    async def admit(self, name: str, version: str | None) -> Called:
        """Find a model and see that it can answer, before a body is read; raises AgentError."""
        model = self.find(name, version)
        if not self.loaded(model):
            hint = f"POST {V2_LOAD.format(name=name)} brings it back"
            raise AgentError(ErrorCode.MODEL_UNLOADED, f"{name} was unloaded", hint=hint)
        return Called(await self._inference.admit(name, None, None), name)

    def counted(self, called: Called) -> InferenceRequest:
        """The count of a request, to be used as a context around all that is done for it."""
        return self._inferences.request(called.name, called.admitted.model.description.task)

    async def infer(
        self, called: Called, slot: Slot, format: BodyFormat, waited_ns: int, counted: InferenceRequest
    ) -> Inferred:
        """Have a worker answer the body in a slot, which waited before it was let in; raises AgentError."""
        arrived_ns = time.perf_counter_ns() - waited_ns
        counted.arrived(waited_ns)
        answer = await called.admitted.infer(slot, format)
        counted.executed(called.admitted.runtime, _stages(answer, arrived_ns), answer.batch, answer.executions)
        return answer

    def statistics(self, name: str | None, version: str | None) -> list[ModelStatistics]:
        """The figures of one model or of all; raises AgentError."""
        names = [model.description.name for model in self._models()]
        if name is not None:
            names = [self.find(name, version).description.name]
        return [_statistics(each, self._inferences.statistics(each)) for each in names]

    def _models(self) -> Sequence[StoredModel]:
        return sorted(self._registry.store, key=lambda model: model.description.name)


def _entry(name: str, reason: str | None) -> IndexEntry:
    state = MODEL_READY if reason is None else MODEL_UNAVAILABLE
    return IndexEntry.model_validate({"name": name, "version": MODEL_VERSION, "state": state, "reason": reason or ""})


def _stages(answer: Inferred, arrived_ns: int) -> dict[str, float | None]:
    """Milliseconds of each stage; tensors are not decoded, and their checks count as preprocessing."""
    return {
        "queue": (answer.started_ns - arrived_ns) / 1e6,
        "load": (answer.loaded_ns - answer.started_ns) / 1e6 if answer.loaded_ns != answer.started_ns else None,
        "preprocess": (answer.prepared_ns - answer.loaded_ns) / 1e6,
        "inference": (answer.inferred_ns - answer.prepared_ns) / 1e6,
        "postprocess": (answer.done_ns - answer.inferred_ns) / 1e6,
    }


def _statistics(name: str, counts: ModelFigures) -> ModelStatistics:
    def duration(total: Total) -> DurationStatistic:
        return DurationStatistic(count=total.count, ns=total.ns)

    return ModelStatistics(
        name=name,
        version=MODEL_VERSION,
        last_inference=counts.last_inference_ms,
        inference_count=counts.inference_count,
        execution_count=counts.execution_count,
        inference_stats=InferenceStatistics(
            success=duration(counts.success),
            fail=duration(counts.fail),
            queue=duration(counts.queue),
            compute_input=duration(counts.compute_input),
            compute_infer=duration(counts.compute_infer),
            compute_output=duration(counts.compute_output),
        ),
    )

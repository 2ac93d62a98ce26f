"""What was asked of each model over the protocol, as its statistics extension reports it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from server.workers.messages import Inferred


@dataclass
class Total:
    """How often something happened, and nanoseconds it took altogether."""

    count: int = 0
    ns: int = 0

    def add(self, ns: int, count: int = 1) -> None:
        """Count it once more."""
        self.count += count
        self.ns += ns


@dataclass
class ModelCounts:
    """Figures of one model since the agent started."""

    inference_count: int = 0
    execution_count: int = 0
    last_inference_ms: int = 0
    """Unix time in milliseconds; 0 when there was none."""
    success: Total = field(default_factory=Total)
    fail: Total = field(default_factory=Total)
    queue: Total = field(default_factory=Total)
    compute_input: Total = field(default_factory=Total)
    compute_infer: Total = field(default_factory=Total)
    compute_output: Total = field(default_factory=Total)


class Counts:
    """Figures of all models that are here. Its methods belong to the event loop's thread."""

    def __init__(self, holds: Callable[[str], bool]) -> None:
        """`holds` says whether the agent has a model of a name: of others nothing is kept."""
        self._holds = holds
        self._models: dict[str, ModelCounts] = {}

    def of(self, model: str) -> ModelCounts:
        """The figures of a model, zeros for one that nobody asked."""
        return self._models.get(model) or ModelCounts()

    def answered(self, model: str, arrived_ns: int, answer: Inferred) -> None:
        """A request got its answer; `arrived_ns` on the clock of the answer's own times."""
        counts = self._known(model)
        counts.inference_count += answer.batch
        counts.execution_count += answer.executions
        counts.last_inference_ms = int(time.time() * 1000)
        counts.success.add(time.perf_counter_ns() - arrived_ns)
        counts.queue.add(answer.started_ns - arrived_ns)
        counts.compute_input.add(answer.prepared_ns - answer.loaded_ns)
        counts.compute_infer.add(answer.inferred_ns - answer.prepared_ns)
        counts.compute_output.add(answer.done_ns - answer.inferred_ns)

    def failed(self, model: str, arrived_ns: int) -> None:
        """A request got an error."""
        self._known(model).fail.add(time.perf_counter_ns() - arrived_ns)

    def _known(self, model: str) -> ModelCounts:
        counts = self._models.get(model)
        if counts is None:
            self._models = {name: kept for name, kept in self._models.items() if self._holds(name)}
            counts = self._models[model] = ModelCounts()
        return counts

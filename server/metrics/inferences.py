"""What was asked of each model, what became of it, and how long every stage took.

Requests, inferences and executions are counted apart, as Triton does: a batch of eight pictures that run together is
one request, eight inferences and one execution.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

from starlette.requests import ClientDisconnect

from contract.codes import ErrorCode
from server.errors import AgentError
from server.metrics.durations import Durations

SUCCESS = "success"
PARTIAL = "partial"
"""Of several pictures in one request some were answered, and others were not."""
CANCELLED = "cancelled"
"""Whoever asked hung up."""
TOTAL = "total"
COMPUTE_INPUT = ("decode", "preprocess")
COMPUTE_INFER = ("inference",)
"""Stages that count as preparing the input, and as running the model, in the statistics of the Open Inference
Protocol; what comes after is preparing the output. `load` happens once, and is in none of them."""
NO_COMPUTING = ("queue", "load")

Stages = Mapping[str, float | None]
"""Milliseconds by the names of `contract.classify.StageTimes`; None for a stage that was not needed."""


@dataclass(slots=True)
class Executions:
    """What one runtime did for a model."""

    inferences: int = 0
    executions: int = 0
    stages: dict[str, Durations] = field(default_factory=dict)


@dataclass(slots=True)
class ModelRecord:
    """Everything counted of one model and task."""

    model: str
    task: str
    outcomes: Counter[str] = field(default_factory=Counter)
    """Requests by what became of them: `success`, `partial`, `cancelled`, or an ErrorCode."""
    answered: Durations = field(default_factory=Durations)
    """Of requests that were answered: from the last byte of the input, or the place in the queue, to the answer."""
    failed_ns: int = 0
    runtimes: dict[str, Executions] = field(default_factory=dict)
    last_inference_at_s: float | None = None
    """Unix time."""

    def copy(self) -> "ModelRecord":
        """The same as it is now."""
        made = ModelRecord(self.model, self.task)
        made.add(self)
        return made

    def add(self, other: "ModelRecord") -> None:
        """Count all that another one has too."""
        self.outcomes += other.outcomes
        self.answered.add(other.answered)
        self.failed_ns += other.failed_ns
        for runtime, theirs in other.runtimes.items():
            mine = self.runtimes.setdefault(runtime, Executions())
            mine.inferences += theirs.inferences
            mine.executions += theirs.executions
            for stage, durations in theirs.stages.items():
                if stage in mine.stages:
                    mine.stages[stage].add(durations)
                else:
                    mine.stages[stage] = durations.copy()
        times = (self.last_inference_at_s, other.last_inference_at_s)
        self.last_inference_at_s = max((at_s for at_s in times if at_s is not None), default=None)


@dataclass(frozen=True)
class Total:
    """How often something happened, and how long it took altogether."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True)
class ModelFigures:
    """Figures of a model since the agent started, as the Open Inference Protocol's statistics extension has them."""

    inference_count: int
    execution_count: int
    last_inference_ms: int
    """Unix time in milliseconds; 0 when there was none."""
    success: Total
    fail: Total
    queue: Total
    compute_input: Total
    compute_infer: Total
    compute_output: Total


class InferenceLog:
    """Counts of all models. Its methods belong to the event loop's thread."""

    def __init__(self, holds: Callable[[str], bool]) -> None:
        """`holds` says whether the agent has a model of a name: of others nothing is kept."""
        self._holds = holds
        self._records: dict[tuple[str, str], ModelRecord] = {}

    def request(self, model: str, task: str) -> "InferenceRequest":
        """One request to a model that was found; to be used as a context around all that is done for it."""
        return InferenceRequest(self._records.get((model, task)) or self._new(model, task))

    def records(self) -> list[ModelRecord]:
        """Copies of what was counted, of models that are still here."""
        self._forget_removed()
        return [record.copy() for record in self._records.values()]

    def statistics(self, model: str) -> ModelFigures:
        """The figures of one model, all tasks and runtimes together; zeros for one that nobody asked."""
        found = ModelRecord(model, "")
        for record in self._records.values():
            if record.model == model:
                found.add(record)
        return _statistics(found)

    def _new(self, model: str, task: str) -> ModelRecord:
        self._forget_removed()
        record = self._records[model, task] = ModelRecord(model, task)
        return record

    def _forget_removed(self) -> None:
        """So that names that come and go leave nothing behind."""
        for key in [key for key in self._records if not self._holds(key[0])]:
            del self._records[key]


class InferenceRequest:
    """Told once of everything that happens to one request; counts it when its context ends."""

    __slots__ = ("_began_ns", "_executed", "_failure", "_record")

    def __init__(self, record: ModelRecord) -> None:
        self._record = record
        self._began_ns = time.perf_counter_ns()
        self._executed = False
        self._failure: str | None = None

    def arrived(self, waited_ns: int = 0) -> None:
        """The input is there, after waiting for its turn: the time on the network is not counted."""
        self._began_ns = time.perf_counter_ns() - waited_ns

    def executed(self, runtime: str, stages: Stages, batch_size: int = 1, executions: int = 1) -> None:
        """The model ran so often, for so many inputs altogether."""
        self._executed = True
        runtimes = self._record.runtimes
        done = runtimes.get(runtime)
        if done is None:
            done = runtimes[runtime] = Executions()
        done.inferences += batch_size
        done.executions += executions
        known = done.stages
        for stage, duration_ms in stages.items():
            if duration_ms is not None and stage != TOTAL:
                durations = known.get(stage)
                if durations is None:
                    durations = known[stage] = Durations()
                durations.observe(int(duration_ms * 1e6))

    def part_failed(self, code: ErrorCode) -> None:
        """One of several inputs got no answer."""
        self._failure = self._failure or code

    def __enter__(self) -> "InferenceRequest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took_ns = time.perf_counter_ns() - self._began_ns
        record = self._record
        if error is not None:
            outcome = _outcome(error)
        elif self._failure is not None:
            outcome = PARTIAL if self._executed else self._failure
        else:
            outcome = SUCCESS
        record.outcomes[outcome] += 1
        if self._executed:
            record.last_inference_at_s = time.time()
        if outcome in (SUCCESS, PARTIAL):
            record.answered.observe(took_ns)
        else:
            record.failed_ns += took_ns


def _outcome(error: BaseException) -> str:
    if isinstance(error, AgentError):
        return error.code
    return CANCELLED if isinstance(error, ClientDisconnect | asyncio.CancelledError) else ErrorCode.INTERNAL_ERROR


def _statistics(record: ModelRecord) -> ModelFigures:
    done = list(record.runtimes.values())
    stages: Counter[str] = Counter()
    for each in done:
        stages.update({stage: durations.sum_ns for stage, durations in each.stages.items()})

    def total(ns: int) -> Total:
        return Total(record.answered.count, ns)

    before = (*NO_COMPUTING, *COMPUTE_INPUT, *COMPUTE_INFER)
    answered = record.answered
    return ModelFigures(
        inference_count=sum(each.inferences for each in done),
        execution_count=sum(each.executions for each in done),
        last_inference_ms=int((record.last_inference_at_s or 0) * 1e3),
        success=Total(answered.count, answered.sum_ns),
        fail=Total(sum(record.outcomes.values()) - answered.count, record.failed_ns),
        queue=total(stages["queue"]),
        compute_input=total(sum(stages[stage] for stage in COMPUTE_INPUT)),
        compute_infer=total(sum(stages[stage] for stage in COMPUTE_INFER)),
        compute_output=total(sum(ns for stage, ns in stages.items() if stage not in before)),
    )

"""From a request in memory to what a worker made of it: which model and runtime, how long each stage took."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contract.classify import DecodeMode, ModelRef, RuntimeUsed, StageTimes
from contract.tasks import Task
from server.models.registry import ModelRegistry
from server.models.stored_model import StoredModel
from server.openinference.worker.format import BodyFormat
from server.workers.arena import Slot
from server.workers.messages import Infer, Inferred, Predict, Predicted, Ran
from server.workers.pool import Pool
from server.workers.pools import Pools

HEADROOM = {DecodeMode.FAST: 2, DecodeMode.FASTEST: 1, DecodeMode.EXACT: None}
"""How many times the model's input a reduced JPEG keeps on each side; None decodes every pixel."""


class InferenceService:
    """Lets requests in, for one model each, and has worker pools answer them."""

    def __init__(self, registry: ModelRegistry, pools: Pools, max_pixels: int) -> None:
        self._registry = registry
        self._pools = pools
        self._max_pixels = max_pixels

    async def admit(self, model_name: str | None, runtime: str | None, task: Task | None) -> "Admitted":
        """Find model and pool and see that they can answer, before a body is read; raises AgentError.

        `task` is what the model must be for, None where any will do.
        """
        self._pools.gate.check_free()
        model = self._registry.find(model_name)
        if task is not None:
            model.require(task)
        pool = await self._pools.pool(self._registry.runtime_for(model, runtime))
        pool.check_able()
        return Admitted(model, pool, self._max_pixels, self._pools.gate.check_free)

    async def warm_up(self, model: StoredModel) -> None:
        """Have the workers load a model before it is asked for; raises AgentError."""
        self._pools.gate.check_free()
        pool = await self._pools.pool(self._registry.runtime_for(model, None))
        await pool.load(model.spec)


@dataclass(frozen=True)
class Prediction:
    """What a worker found in one picture."""

    answer: Predicted
    model: ModelRef
    runtime: RuntimeUsed
    timing_ms: StageTimes


class Admitted:
    """A model and a pool that a request may go ahead with."""

    def __init__(self, model: StoredModel, pool: Pool, max_pixels: int, check_free: Callable[[], None]) -> None:
        self.model = model
        self._pool = pool
        self._max_pixels = max_pixels
        self._check_free = check_free

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.description.name

    @property
    def runtime(self) -> str:
        """What runs the model."""
        return self._pool.runtime

    async def predict(self, slot: Slot, waited_ns: int, decode: DecodeMode, options: dict[str, Any]) -> Prediction:
        """Have a worker do the model's task on the picture in a slot; raises AgentError.

        `waited_ns`: how long it waited before it was let in. `options`: the task's own.
        """
        self._check_free()  # a measuring job may have begun while the picture was on its way
        arrived_ns = time.perf_counter_ns() - waited_ns
        order = Predict(
            model=self.model.spec,
            offset=slot.offset,
            size=slot.size,
            headroom=HEADROOM[decode],
            max_pixels=self._max_pixels,
            options=options,
        )
        answer = await self._pool.predict(order)
        described = self.model.description
        return Prediction(
            answer=answer,
            model=ModelRef(name=described.name, digest=described.digest),
            runtime=self._used(answer.ran),
            timing_ms=_times(answer, arrived_ns),
        )

    async def infer(self, slot: Slot, format: BodyFormat) -> Inferred:
        """Have a worker run the model on the tensors in a slot; raises AgentError."""
        self._check_free()
        order = Infer(
            model=self.model.spec,
            name=self.model.description.name,
            offset=slot.offset,
            size=slot.size,
            format=format,
            max_pixels=self._max_pixels,
        )
        return await self._pool.infer(order)

    def _used(self, ran: Ran) -> RuntimeUsed:
        hello = self._pool.hello
        assert hello is not None  # a worker has answered
        return RuntimeUsed(
            name=hello.runtime, version=hello.version, device=ran.device, delegate=ran.delegate, threads=ran.threads
        )


def _times(answer: Predicted, arrived_ns: int) -> StageTimes:
    def ms(start_ns: int, end_ns: int) -> float:
        return round((end_ns - start_ns) / 1e6, 3)

    suppression_ns = answer.suppression_ns
    return StageTimes(
        queue=ms(arrived_ns, answer.started_ns),
        load=ms(answer.started_ns, answer.loaded_ns) if answer.loaded_ns != answer.started_ns else None,
        decode=ms(answer.loaded_ns, answer.decoded_ns),
        preprocess=ms(answer.decoded_ns, answer.preprocessed_ns),
        inference=ms(answer.preprocessed_ns, answer.inferred_ns),
        postprocess=ms(answer.inferred_ns + (suppression_ns or 0), answer.done_ns),
        suppression=ms(0, suppression_ns) if suppression_ns is not None else None,
        total=ms(arrived_ns, time.perf_counter_ns()),
    )


def server_timing(times: StageTimes) -> str:
    """The stages as a `Server-Timing` header (W3C), milliseconds, in the order in which they ran."""
    stages = times.model_dump(exclude_none=True)
    return ", ".join(f"{stage};dur={duration:g}" for stage, duration in stages.items())

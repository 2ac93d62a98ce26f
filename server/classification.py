"""From a picture in memory to the reply: which model and runtime, how long each stage took."""

import time
from collections.abc import Callable, Mapping

from contract.classify import (
    ClassifyOptions,
    ClassifyReply,
    DecodeMode,
    ImageInfo,
    ModelRef,
    Prediction,
    QuantMode,
    RuntimeUsed,
    StageTimes,
)
from server.models.registry import ModelRegistry
from server.models.stored_model import StoredModel
from server.workers.arena import Slot
from server.workers.messages import Classified, Classify, Hello
from server.workers.pool import Pool
from server.workers.pools import Pools


class ClassificationService:
    """Answers one picture at a time by way of the worker pools."""

    def __init__(self, registry: ModelRegistry, pools: Pools, max_pixels: int) -> None:
        self._registry = registry
        self._pools = pools
        self._max_pixels = max_pixels

    async def admit(self, model_name: str | None, options: ClassifyOptions) -> "Admitted":
        """Find model and pool and see that they can answer, before a body is read; raises AgentError."""
        self._pools.gate.check_free()
        model = self._registry.find(model_name)
        pool = await self._pools.pool(self._registry.runtime_for(model, options.runtime))
        pool.check_able()
        return Admitted(model, pool, options, self._max_pixels, self._pools.gate.check_free)


class Admitted:
    """A model, a pool and the options of a request that may go ahead."""

    def __init__(
        self,
        model: StoredModel,
        pool: Pool,
        options: ClassifyOptions,
        max_pixels: int,
        check_free: Callable[[], None],
    ) -> None:
        self._model = model
        self._spec = model.spec
        self._pool = pool
        self._options = options
        self._max_pixels = max_pixels
        self._check_free = check_free

    async def classify(self, slot: Slot, request_id: str, waited_ns: int) -> ClassifyReply:
        """Have a worker classify the picture in a slot, which waited before it was let in; raises AgentError."""
        self._check_free()  # a measuring job may have begun while the picture was on its way
        arrived_ns = time.perf_counter_ns() - waited_ns
        order = Classify(
            model=self._spec,
            offset=slot.offset,
            size=slot.size,
            top_k=self._options.top_k,
            exact=self._options.decode is DecodeMode.EXACT,
            legacy=self._options.quant is QuantMode.LEGACY_SAMPLE,
            max_pixels=self._max_pixels,
        )
        answer = await self._pool.classify(order)
        assert self._pool.hello is not None
        return _reply(answer, self._model, self._pool.hello, arrived_ns, request_id)


def _reply(answer: Classified, model: StoredModel, hello: Hello, arrived_ns: int, request_id: str) -> ClassifyReply:
    return ClassifyReply(
        request_id=request_id,
        model=ModelRef(name=model.description.name, digest=model.description.digest),
        runtime=RuntimeUsed(
            name=hello.runtime,
            version=hello.version,
            device=answer.device,
            delegate=answer.delegate,
            threads=answer.threads,
        ),
        predictions=_predictions(answer, model.labels),
        scores="softmax" if answer.logits else "model",
        image=ImageInfo.model_validate(answer.image),
        timing_ms=_times(answer, arrived_ns),
    )


def _predictions(answer: Classified, labels: Mapping[int, str]) -> list[Prediction]:
    return [
        Prediction(index=index, label=labels.get(index), score=score)
        for index, score in zip(answer.indices, answer.scores, strict=True)
    ]


def _times(answer: Classified, arrived_ns: int) -> StageTimes:
    def ms(start_ns: int, end_ns: int) -> float:
        return round((end_ns - start_ns) / 1e6, 3)

    return StageTimes(
        queue=ms(arrived_ns, answer.started_ns),
        load=ms(answer.started_ns, answer.loaded_ns) if answer.loaded_ns != answer.started_ns else None,
        decode=ms(answer.loaded_ns, answer.decoded_ns),
        preprocess=ms(answer.decoded_ns, answer.preprocessed_ns),
        inference=ms(answer.preprocessed_ns, answer.inferred_ns),
        postprocess=ms(answer.inferred_ns, answer.done_ns),
        total=ms(arrived_ns, time.perf_counter_ns()),
    )


def server_timing(times: StageTimes) -> str:
    """The stages as a `Server-Timing` header (W3C), milliseconds, in the order in which they ran."""
    stages = times.model_dump(exclude_none=True)
    return ", ".join(f"{stage};dur={duration:g}" for stage, duration in stages.items())

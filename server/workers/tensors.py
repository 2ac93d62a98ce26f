"""Orders of tensors, in the worker process: a model as a protocol's code sees it, and its answer on the way back."""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from contract.codes import ErrorCode
from contract.tensors import batch_limit
from image_model.labels import parse_labels
from server.openinference.worker.answering import answer
from server.openinference.worker.coding import SMALLEST_WORTH_IT_BYTES, compress
from server.runtimes.base import Array, Tensor
from server.tasks.base import OrderFailed
from server.workers.messages import Infer, Inferred
from server.workers.results import SLOT_BYTES
from server.workers.runner import ReadyModel, Runner, invoke

LABELS_KEPT = 8

now = time.perf_counter_ns


class ServedModel:
    """A model that answers one order of tensors; it counts and times its runs."""

    def __init__(self, runner: Runner, order: Infer, model: ReadyModel) -> None:
        """`model` runs a batch of one."""
        self._runner = runner
        self._order = order
        self._single = model
        self.name = order.name
        self.batch = 1
        self.executions = 0
        self.first_run_ns = self.last_run_ns = 0

    @property
    def inputs(self) -> Sequence[Tensor]:
        """Input tensors for a batch of one."""
        return self._single.loaded.inputs

    @property
    def outputs(self) -> Sequence[Tensor]:
        """Output tensors for a batch of one."""
        return self._single.loaded.outputs

    @property
    def takes_images(self) -> bool:
        """Whether it may be given encoded pictures."""
        return self._single.image is not None

    @cached_property
    def max_batch(self) -> int:
        """Items that one request may bring."""
        return batch_limit(self.inputs, self.outputs, self._order.format.max_bytes)

    @property
    def labels(self) -> Mapping[int, str]:
        """Names by class index; empty without labels."""
        path = self._order.model.labels
        return _labels(path) if path is not None else {}

    def image(self, file: bytes | memoryview) -> Array:
        """An encoded picture as the model's input tensor, batch 1; raises OrderFailed."""
        if self._single.image is None:
            raise OrderFailed(ErrorCode.TAKES_NO_IMAGE, "its input is no picture: send numbers")
        decoded = self._single.image.decode(file, headroom=None, max_pixels=self._order.max_pixels)
        return self._single.image.tensor(decoded)

    def invoke(self, arrays: Sequence[Array], batch: int) -> list[Array]:
        """Outputs for inputs whose first axis is `batch` times the model's own; raises OrderFailed.

        They run as one inference where the graph lets them, else one after the other.
        """
        self.first_run_ns = self.first_run_ns or now()
        self.batch = batch
        outputs = self._run(arrays, batch)
        self.last_run_ns = now()
        return outputs

    def _run(self, arrays: Sequence[Array], batch: int) -> list[Array]:
        if batch == 1:
            self.executions += 1
            return list(invoke(self._single.loaded, arrays))
        frames = list(zip(*(np.split(array, batch) for array in arrays), strict=True))
        together = self._runner.batched(self._single, frames[0], batch)
        if together is not None:
            self.executions += 1
            return list(invoke(together.loaded, arrays))
        self.executions += batch
        return _joined([list(invoke(self._single.loaded, frame)) for frame in frames])


@lru_cache(maxsize=LABELS_KEPT)
def _labels(path: str) -> Mapping[int, str]:
    """The labels in a file, which is never changed: its name is its digest."""
    return parse_labels(Path(path).read_bytes())


def _joined(portions: Sequence[Sequence[Array]]) -> list[Array]:
    return [np.concatenate(parts) for parts in zip(*portions, strict=True)]


def infer(runner: Runner, order: Infer, body: memoryview, result: memoryview) -> Inferred:
    """Execute an order of tensors; raises OrderFailed."""
    started = now()
    model, loaded = runner.for_order(order, started)
    served = ServedModel(runner, order, model)
    reply = answer(body, order.format, served)
    parts, coding = reply.parts, None
    if order.format.reply_coding is not None and reply.size >= SMALLEST_WORTH_IT_BYTES:
        coding = order.format.reply_coding
        parts = [memoryview(compress(parts, coding))]
    size = _write(result, parts)
    return Inferred(
        id=order.id,
        size=size,
        header_bytes=len(reply.header) if reply.tensors else None,
        coding=coding,
        batch=served.batch,
        executions=served.executions,
        started_ns=started,
        loaded_ns=loaded,
        prepared_ns=served.first_run_ns,
        inferred_ns=served.last_run_ns,
        done_ns=now(),
    )


def _write(result: memoryview, parts: Sequence[memoryview]) -> int:
    """Put the parts one after the other into the result memory; raises OrderFailed when they do not fit."""
    size = sum(part.nbytes for part in parts)
    if size > SLOT_BYTES:
        detail = (
            f"the answer has {size} bytes, at most {SLOT_BYTES} go into one: ask for fewer outputs, or as binary data"
        )
        raise OrderFailed(ErrorCode.ANSWER_TOO_LARGE, detail)
    end = 0
    for part in parts:
        result[end : end + part.nbytes] = part.cast("B") if part.nbytes else part.tobytes()
        end += part.nbytes
    return size

"""Run several frames at once where the graph lets them, and say how it was done."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from contract.results import BatchMode
from server.jobs.host.frames import Frame, stacked
from server.runtimes.base import Array, LoadedModel, LoadOptions, ModelFault, ModelFiles, Runtime, tflite_files

TOLERATED_STEPS = 4
"""Quantisation steps by which the same frame may come out differently in a batch: another kernel, another rounding."""
TOLERATED_RELATIVE = 1e-2


@dataclass(frozen=True)
class Batched:
    """A model that takes a group of frames."""

    model: LoadedModel
    mode: BatchMode
    detail: str | None = None

    def clone(self) -> "Batched":
        """The same once more, to run at the same time."""
        return replace(self, model=self.model.clone())

    def prepare(self, group: Sequence[Frame]) -> list[Frame]:
        """A group as the invocations it takes."""
        return list(group) if self.mode is BatchMode.LOOP or len(group) == 1 else [stacked(group)]

    def run(self, invocations: Sequence[Frame]) -> None:
        """Run what `prepare` made; raises ModelFault."""
        invoke = self.model.invoke
        for arrays in invocations:
            invoke(*arrays)


@dataclass(frozen=True)
class Reference:
    """What one frame gave at batch 1, to hold a batch against."""

    frame: Frame
    outputs: Sequence[Array]


def open_batched(
    runtime: Runtime, files: ModelFiles, options: LoadOptions, single: LoadedModel, reference: Reference
) -> Batched:
    """The model for groups of `options.batch` frames: as it is, else with its pinned batch freed, else frame by frame.

    A batch counts only if each of its rows equals what the frame gives alone.
    """
    if options.batch == 1:
        return Batched(single, BatchMode.NATIVE)
    native = _attempt(runtime, files, options, reference)
    if not isinstance(native, str):
        return Batched(native, BatchMode.NATIVE)
    freed = _unpinned(files)
    patched = _attempt(runtime, freed, options, reference) if freed is not None else native
    if not isinstance(patched, str):
        return Batched(
            patched, BatchMode.PATCHED, f"the target of its last RESHAPE pinned one frame; as it is: {native}"
        )
    return Batched(single, BatchMode.LOOP, f"the graph takes one frame only: {patched}")


def _attempt(runtime: Runtime, files: ModelFiles, options: LoadOptions, reference: Reference) -> LoadedModel | str:
    """The model with its batch set, or why it does not work."""
    batch = options.batch
    try:
        model = runtime.load(files, options)
        outputs = model.invoke(*stacked([reference.frame] * batch))
    except ModelFault as fault:
        return str(fault).strip().splitlines()[0]
    for tensor, alone, together in zip(model.outputs, reference.outputs, outputs, strict=True):
        if together.shape != (batch * alone.shape[0], *alone.shape[1:]):
            return f"output {tensor.name} has shape {list(together.shape)} for {batch} frames"
        quantised = tensor.scale is not None
        difference = np.abs(together.astype(np.float64) - alone.astype(np.float64)).max()
        allowed = TOLERATED_STEPS if quantised else TOLERATED_RELATIVE * max(1.0, float(np.abs(alone).max()))
        if difference > allowed:
            return f"output {tensor.name} of a batch differs from a lone frame's by {difference:g}"
    return model


def _unpinned(files: ModelFiles) -> ModelFiles | None:
    if files.format != "tflite":
        return None
    try:
        from server.tflite.patch import unpin_batch  # the schema comes with litert

        content = unpin_batch(files.content)
        return tflite_files(content) if content is not None else None
    except (ImportError, ValueError, IndexError, TypeError, struct.error):
        return None

"""A model for several inferences at once, where its graph lets them, held against what it gives for one."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from server.runtimes.base import Array, LoadedModel, LoadOptions, ModelFault, ModelFiles, Runtime, tflite_files

TOLERATED_STEPS = 4
"""Quantisation steps by which the same frame may come out differently in a batch: another kernel, another rounding."""
TOLERATED_RELATIVE = 1e-2

Frame = Sequence[Array]
"""One array an input of the model, batch 1."""


@dataclass(frozen=True)
class Reference:
    """What one frame gave at batch 1, to hold a batch against."""

    frame: Frame
    outputs: Sequence[Array]


@dataclass(frozen=True)
class Freed:
    """A model for batches whose graph had to be changed for that."""

    model: LoadedModel
    because: str
    """Why it takes no batch as it is."""


def load_batched(
    runtime: Runtime, files: ModelFiles, options: LoadOptions, reference: Reference
) -> LoadedModel | Freed | str:
    """A model for groups of `options.batch` frames, as it is or with its pinned batch freed; else why there is none.

    A batch counts only if each of its rows equals what the frame gives alone.
    """
    native = _attempt(runtime, files, options, reference)
    if not isinstance(native, str):
        return native
    freed = _unpinned(files)
    patched = _attempt(runtime, freed, options, reference) if freed is not None else native
    return patched if isinstance(patched, str) else Freed(patched, native)


def stacked(group: Sequence[Frame]) -> Frame:
    """Frames joined along their first axis, contiguous."""
    return [np.ascontiguousarray(np.concatenate(arrays)) for arrays in zip(*group, strict=True)]


def _attempt(runtime: Runtime, files: ModelFiles, options: LoadOptions, reference: Reference) -> LoadedModel | str:
    """The model with its batch set, or why it does not work."""
    batch = options.batch
    try:
        model = runtime.load(files, options)
        outputs = model.invoke(*stacked([reference.frame] * batch))
    except (ModelFault, ValueError) as fault:  # ValueError: arrays without a first axis, or of unequal shapes
        return str(fault).strip().splitlines()[0]
    for tensor, alone, together in zip(model.outputs, reference.outputs, outputs, strict=True):
        if together.shape != (batch * alone.shape[0], *alone.shape[1:]):
            return f"output {tensor.name} has shape {list(together.shape)} for {batch} frames"
        quantised = tensor.scale is not None
        difference = np.abs(together.astype(np.float64) - alone.astype(np.float64)).max(initial=0.0)
        allowed = TOLERATED_STEPS if quantised else TOLERATED_RELATIVE * max(1.0, float(np.abs(alone).max(initial=0.0)))
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

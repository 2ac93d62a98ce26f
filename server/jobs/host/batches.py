"""Run several frames at once where the graph lets them, and say how it was done."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contract.results import BatchMode
from server.runtimes.base import LoadedModel, LoadOptions, ModelFiles, Runtime
from server.runtimes.batching import Frame, Freed, Reference, load_batched, stacked


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


def open_batched(
    runtime: Runtime, files: ModelFiles, options: LoadOptions, single: LoadedModel, reference: Reference
) -> Batched:
    """The model for groups of `options.batch` frames: as it is, else freed, else frame by frame."""
    if options.batch == 1:
        return Batched(single, BatchMode.NATIVE)
    found = load_batched(runtime, files, options, reference)
    if isinstance(found, str):
        return Batched(single, BatchMode.LOOP, f"the graph takes one frame only: {found}")
    if isinstance(found, Freed):
        pinned = f"the target of its last RESHAPE pinned one frame; as it is: {found.because}"
        return Batched(found.model, BatchMode.PATCHED, pinned)
    return Batched(found, BatchMode.NATIVE)

"""A model on the first of several devices that runs it, and on the next one when that fails."""

from collections.abc import Sequence
from dataclasses import replace

from server.runtimes.base import Array, Execution, LoadedModel, LoadOptions, ModelFault, ModelFiles, Runtime, Tensor


def load_on_first(runtime: Runtime, files: ModelFiles, options: LoadOptions, devices: Sequence[str]) -> LoadedModel:
    """Load a model on the first device that takes it; raises ModelFault with what each said."""
    if len(devices) == 1:
        return runtime.load(files, _on(options, devices[0]))
    return FallingBack(runtime, files, options, devices)


class FallingBack:
    """Repeats an inference that failed on the next device, and stays there."""

    def __init__(self, runtime: Runtime, files: ModelFiles, options: LoadOptions, devices: Sequence[str]) -> None:
        self._runtime, self._files, self._options = runtime, files, options
        self._left = list(devices)
        self._faults: list[str] = []
        self._model = self._next()

    @property
    def inputs(self) -> Sequence[Tensor]:
        """Input tensors in the model's order."""
        return self._model.inputs

    @property
    def outputs(self) -> Sequence[Tensor]:
        """Output tensors in the model's order."""
        return self._model.outputs

    @property
    def delegate(self) -> str | None:
        """The delegate on the device it runs on now."""
        return self._model.delegate

    @property
    def execution(self) -> Execution:
        """How it runs on the device it is on now; the detail says why others do not."""
        execution = self._model.execution
        return replace(execution, detail="; ".join(self._faults) or execution.detail)

    def invoke(self, *arrays: Array) -> Sequence[Array]:
        """Run once; raises ModelFault when the last device fails."""
        while True:
            try:
                return self._model.invoke(*arrays)
            except ModelFault as fault:
                if not self._left:
                    raise
                self._faults.append(f"{self._model.execution.device}: {fault}")
                self._model.close()
                self._model = self._next()

    def clone(self) -> "FallingBack":
        """The same on what is left."""
        return FallingBack(self._runtime, self._files, self._options, [self._model.execution.device, *self._left])

    def close(self) -> None:
        """Release the model's memory."""
        self._model.close()

    def _next(self) -> LoadedModel:
        while self._left:
            device = self._left.pop(0)
            try:
                return self._runtime.load(self._files, _on(self._options, device))
            except ModelFault as fault:
                self._faults.append(f"{device}: {fault}")
        raise ModelFault("; ".join(self._faults))


def _on(options: LoadOptions, device: str) -> LoadOptions:
    return replace(options, device=device)

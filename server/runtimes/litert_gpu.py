"""Models compiled by LiteRT for an accelerator. Needs LiteRT 2; holds the GIL while it runs.

`is_fully_accelerated` of the library counts the CPU as an accelerator, and a model for NPU and CPU silently stays on
the CPU: so a model is compiled for the one accelerator alone, which fails where an operator does not run on it.
"""

import re
from collections.abc import Sequence

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator

from server.runtimes.base import Array, Execution, ModelFault, Tensor

_SIGNATURE = 0

_PLACES = re.compile(r"(└ )?ERROR: \[[^\]]*\]")


class CompiledGpuModel:
    """A model whose every operator runs on the accelerator."""

    def __init__(
        self,
        content: bytes,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        accelerator: HardwareAccelerator = HardwareAccelerator.GPU,
    ) -> None:
        """Compile; `inputs` and `outputs` as an interpreter tells them. Raises ModelFault."""
        self._made_from = content, inputs, outputs, accelerator
        self.inputs, self.outputs = inputs, outputs
        self.delegate: str | None = None
        self.execution = Execution(accelerator.name, None, detail="LiteRT compiled model")
        try:
            self._model = CompiledModel.from_buffer(content, accelerator)
            self._sources = self._model.create_input_buffers(_SIGNATURE)
            self._sinks = self._model.create_output_buffers(_SIGNATURE)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelFault(_text(error)) from error

    def invoke(self, *arrays: Array) -> Sequence[Array]:
        """Run once; raises ModelFault."""
        try:
            for buffer, tensor, array in zip(self._sources, self.inputs, arrays, strict=True):
                if array.shape != tensor.shape or array.dtype.name != tensor.dtype:  # it checks bytes alone
                    raise ModelFault(f"input {tensor.name} takes {tensor.dtype} {list(tensor.shape)}")
                buffer.write(np.ascontiguousarray(array))
            self._model.run_by_index(_SIGNATURE, self._sources, self._sinks)
            return [
                np.asarray(buffer.read(int(np.prod(tensor.shape)), np.dtype(tensor.dtype))).reshape(tensor.shape)
                for buffer, tensor in zip(self._sinks, self.outputs, strict=True)
            ]
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelFault(_text(error)) from error

    def clone(self) -> "CompiledGpuModel":
        """Compiled once more: two threads must not share its buffers."""
        return CompiledGpuModel(*self._made_from)

    def close(self) -> None:
        """Release buffers and model."""
        for buffer in (*self._sources, *self._sinks):
            buffer.destroy()
        self._model.close()


def _text(error: Exception) -> str:
    """The library's message without places in its sources, which is often all of it."""
    told = " ".join(_PLACES.sub(" ", str(error)).split())
    return told[:400] or "its WebGPU accelerator finds no GPU it can use"

"""The TFLite Interpreter API, which ai-edge-litert and tflite-runtime share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from server.runtimes.base import Array, ModelFault, Tensor

_FAULTS = (ValueError, RuntimeError, TypeError, MemoryError, SystemError)
"""What the two packages raise for models they refuse."""


class InterpreterModel:
    """One interpreter with its tensors allocated."""

    def __init__(self, make_interpreter: Callable[[], Any], batch: int = 1) -> None:
        try:
            self._interpreter = make_interpreter()
            if batch != 1:
                for details in self._interpreter.get_input_details():
                    self._interpreter.resize_tensor_input(details["index"], [batch, *details["shape"][1:]])
            self._interpreter.allocate_tensors()
            self._input_details = self._interpreter.get_input_details()
            self._output_details = self._interpreter.get_output_details()
        except _FAULTS as error:
            raise ModelFault(str(error) or type(error).__name__) from error
        self.inputs: Sequence[Tensor] = [_tensor(details) for details in self._input_details]
        self.outputs: Sequence[Tensor] = [_tensor(details) for details in self._output_details]
        self.delegate = _delegate(self._interpreter)

    def invoke(self, *arrays: Array) -> Sequence[Array]:
        """Run once; raises ModelFault."""
        try:
            for details, array in zip(self._input_details, arrays, strict=True):
                self._interpreter.set_tensor(details["index"], array)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(details["index"]) for details in self._output_details]
        except _FAULTS as error:
            raise ModelFault(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Drop the interpreter; its destructor frees the arena."""
        del self._interpreter


@dataclass(frozen=True)
class InterpreterRuntime:
    """A package whose interpreter and resolver classes follow TensorFlow Lite's."""

    name: str
    version: str
    interpreter: Any
    resolver: Any
    """Which kernels and delegates the interpreter may use."""
    device: str = "CPU"

    def load(self, model: bytes, *, threads: int, batch: int = 1) -> InterpreterModel:
        """Prepare a model from bytes (never from a mapped file, which a graph could write into)."""
        return InterpreterModel(
            lambda: self.interpreter(
                model_content=model, num_threads=threads, experimental_op_resolver_type=self.resolver
            ),
            batch,
        )


def resolver(types: Any, *, delegates: bool) -> Any:
    """The package's resolver type with its default delegates (XNNPACK), or with built-in kernels alone."""
    return types.AUTO if delegates else types.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def _tensor(details: dict[str, Any]) -> Tensor:
    scales, zero_points = (details["quantization_parameters"][key] for key in ("scales", "zero_points"))
    quantised = len(scales) == 1
    return Tensor(
        name=details["name"],
        shape=tuple(int(size) for size in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scales[0]) if quantised else None,
        zero_point=int(zero_points[0]) if quantised else None,
    )


def _delegate(interpreter: Any) -> str | None:
    """Both packages show delegated subgraphs as operators named after the delegate."""
    try:
        names = {str(op["op_name"]) for op in interpreter._get_ops_details()}
    except (AttributeError, KeyError, *_FAULTS):
        return None
    return "XNNPACK" if any("Xnnpack" in name or name == "DELEGATE" for name in names) else None

"""The TFLite Interpreter API, which ai-edge-litert and tflite-runtime share."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from server.runtimes.base import Array, Execution, FoundDevice, LoadedModel, LoadOptions, ModelFault, ModelFiles, Tensor

_FAULTS = (ValueError, RuntimeError, TypeError, MemoryError, SystemError)
"""What the two packages raise for models they refuse."""


class InterpreterModel:
    """One interpreter with its tensors allocated."""

    def __init__(self, make_interpreter: Callable[[], Any], batch: int = 1, device: str = "CPU") -> None:
        self._made_from = make_interpreter, batch, device
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
        operators = _operators(self._interpreter)
        self.delegate = _delegate(operators)
        self.execution = Execution(device, _precision(self._interpreter, operators))

    def invoke(self, *arrays: Array) -> Sequence[Array]:
        """Run once; raises ModelFault."""
        try:
            for details, array in zip(self._input_details, arrays, strict=True):
                self._interpreter.set_tensor(details["index"], array)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(details["index"]) for details in self._output_details]
        except _FAULTS as error:
            raise ModelFault(str(error) or type(error).__name__) from error

    def clone(self) -> "InterpreterModel":
        """Another interpreter of the same model: two threads must not share one."""
        return InterpreterModel(*self._made_from)

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
    formats: Sequence[str] = ("tflite",)

    def devices(self) -> Sequence[FoundDevice]:
        """The CPU."""
        return [FoundDevice("CPU", True, "built-in kernels and XNNPACK")]

    def load(self, files: ModelFiles, options: LoadOptions) -> LoadedModel:
        """Prepare a model from bytes (never from a mapped file, which a graph could write into)."""
        if options.device != "CPU":
            raise ModelFault(f"{self.name} runs models on the CPU only, not on {options.device}")
        return InterpreterModel(lambda: self.make(files.content, options.threads), options.batch)

    def make(self, content: bytes, threads: int, **more: Any) -> Any:
        """An interpreter without its tensors."""
        return self.interpreter(
            model_content=content, num_threads=threads, experimental_op_resolver_type=self.resolver, **more
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


def _operators(interpreter: Any) -> Sequence[dict[str, Any]]:
    """What both packages tell of the graph, outside their documented interface; empty where they stopped."""
    try:
        return list(interpreter._get_ops_details())
    except (AttributeError, KeyError, *_FAULTS):
        return []


def _delegate(operators: Sequence[dict[str, Any]]) -> str | None:
    """Both packages show delegated subgraphs as operators named after the delegate."""
    names = {str(operator["op_name"]) for operator in operators}
    if any("edgetpu" in name for name in names):
        return "EdgeTPU"
    return "XNNPACK" if any("Xnnpack" in name or name == "DELEGATE" for name in names) else None


_PRECISIONS = {"float32": "f32", "float16": "f16", "int8": "int8", "uint8": "int8", "int16": "int16"}


def _precision(interpreter: Any, operators: Sequence[dict[str, Any]]) -> str | None:
    """Type of what most operators put out: interpreters compute in the types of the file."""
    try:
        types = {tensor["index"]: np.dtype(tensor["dtype"]).name for tensor in interpreter.get_tensor_details()}
    except (*_FAULTS, KeyError):
        return None
    sinks = Counter(types.get(int(index)) for operator in operators for index in operator["outputs"])
    best = max(sinks, key=sinks.__getitem__, default=None)
    return _PRECISIONS.get(best) if best else None

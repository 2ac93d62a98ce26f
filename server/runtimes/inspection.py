"""Interpreters taken apart: inputs that are set once, values of all tensors, and where in the arena they lie."""

from collections.abc import Iterable, Sequence
from typing import Any

from server.runtimes import open_runtime
from server.runtimes.base import Array, ModelFault
from server.runtimes.interpreter import InterpreterRuntime

_FAULTS = (ValueError, RuntimeError, TypeError, MemoryError, SystemError)


class InspectedModel:
    """One interpreter whose steps are called apart."""

    def __init__(
        self,
        model: bytes,
        runtime: str = "litert",
        *,
        delegates: bool = False,
        threads: int = 1,
        keep_all: bool = False,
    ) -> None:
        """`keep_all` preserves the values of all tensors; raises ModelFault."""
        options = {"experimental_preserve_all_tensors": True} if keep_all else {}
        opened = open_runtime(runtime, delegates=delegates)
        if not isinstance(opened, InterpreterRuntime):
            raise ModelFault(f"{runtime} does not interpret TFLite graphs")
        try:
            self._interpreter: Any = opened.interpreter(
                model_content=model, num_threads=threads, experimental_op_resolver_type=opened.resolver, **options
            )
            self._interpreter.allocate_tensors()
            self._inputs = self._interpreter.get_input_details()
            self._outputs = self._interpreter.get_output_details()
        except _FAULTS as error:
            raise ModelFault(str(error) or type(error).__name__) from error
        self.invoke = self._interpreter.invoke
        """Run once on what was fed; raises what the package raises."""

    @property
    def inputs(self) -> Sequence[tuple[tuple[int, ...], Any]]:
        """Shapes and types of the inputs."""
        return [(tuple(int(size) for size in each["shape"]), each["dtype"]) for each in self._inputs]

    def feed(self, arrays: Sequence[Array]) -> None:
        """Set the inputs; raises ModelFault."""
        try:
            for details, array in zip(self._inputs, arrays, strict=True):
                self._interpreter.set_tensor(details["index"], array)
        except _FAULTS as error:
            raise ModelFault(str(error)) from error

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Feed, run once, and give copies of the outputs; raises ModelFault."""
        self.feed(arrays)
        try:
            self.invoke()
            return [self._interpreter.get_tensor(details["index"]) for details in self._outputs]
        except _FAULTS as error:
            raise ModelFault(str(error) or type(error).__name__) from error

    def tensor(self, index: int) -> Array:
        """A copy of a tensor's value, by its index in the file; of activations only with `keep_all`."""
        values: Array = self._interpreter.get_tensor(index)
        return values

    def span(self, tensors: Iterable[int]) -> int | None:
        """Bytes from the lowest to the highest address of tensors: of all activations, the arena.

        A delegate keeps most activations to itself, where they have no address. None when none has one.
        """
        spans = []
        for index in tensors:
            try:
                values = self._interpreter.tensor(index)()
            except _FAULTS:  # of a size that is known only when it runs, or optimised away
                continue
            if values.nbytes:
                spans.append((values.ctypes.data, values.ctypes.data + values.nbytes))
        return max(end for _, end in spans) - min(start for start, _ in spans) if spans else None

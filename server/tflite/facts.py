"""What a TFLite file says of its operators without running it: multiplications, parameters, bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from server.tflite.flatbuffer import FAULTS, TYPES, is_constant, kind_of, shape_of, unpack

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class OperatorFacts:
    """One operator of the graph."""

    index: int
    kind: str
    """TFLite's name: CONV_2D, ADD, ..."""
    output: str
    """Name of its first output."""
    output_shape: tuple[int, ...]
    output_dtype: str
    macs: int
    """Multiply-accumulate operations of one run; 0 for operators without weights."""
    parameters: int
    weight_bytes: int
    activation_bytes: int
    """The bytes of its outputs."""
    live_bytes: int
    """Activations that must be in memory while it runs."""


@dataclass(frozen=True)
class GraphFacts:
    """All operators, and the memory their activations need at the same time."""

    operators: Sequence[OperatorFacts]
    activations: Sequence[int]
    """Tensors that are computed or fed, by their index in the file."""
    peak_bytes: int
    """Largest sum of activations that must live at once: the least arena a planner can reach."""
    peak_operator: int
    """The operator at which that is."""


def graph_facts(model: bytes) -> GraphFacts:
    """Read the main graph of a TFLite file; raises ValueError for a file that cannot be read."""
    try:
        graph = _Graph(model)
        live = graph.live_bytes()
        operators = [graph.facts(number, live[number]) for number in range(len(graph.operators))]
        activations = graph.activations()
    except FAULTS as error:
        raise ValueError(f"the graph cannot be read: {error}") from error
    peak = max(range(len(live)), key=live.__getitem__, default=0)
    return GraphFacts(operators, activations, live[peak] if live else 0, peak)


class _Graph:
    def __init__(self, model: bytes) -> None:
        self._tree = unpack(model)
        self._graph = self._tree.subgraphs[0]
        self.operators = self._graph.operators

    def facts(self, number: int, live_bytes: int) -> OperatorFacts:
        operator = self.operators[number]
        kind = kind_of(self._tree, operator)
        weights = [index for index in operator.inputs if index >= 0 and self._is_constant(index)]
        weights = weights if kind in _WEIGHTED else []
        tensor = self._graph.tensors[operator.outputs[0]]
        name = tensor.name.decode(errors="replace") if isinstance(tensor.name, bytes) else str(tensor.name)
        return OperatorFacts(
            index=number,
            kind=kind,
            output=name,
            output_shape=shape_of(tensor),
            output_dtype=TYPES.get(tensor.type, "unknown"),
            macs=self._macs(kind, operator),
            parameters=sum(self._count(index) for index in weights),
            weight_bytes=sum(self._buffer_bytes(index) for index in weights),
            activation_bytes=sum(self._activation_bytes(index) for index in operator.outputs),
            live_bytes=live_bytes,
        )

    def activations(self) -> list[int]:
        """Tensors that are computed or fed."""
        used = {*self._graph.inputs, *(index for operator in self.operators for index in operator.outputs)}
        return sorted(int(index) for index in used)

    def live_bytes(self) -> list[int]:
        """Bytes of activations that live while each operator runs."""
        first = dict.fromkeys(self._graph.inputs, 0)
        last: dict[int, int] = {}
        for number, operator in enumerate(self.operators):
            first.update({index: number for index in operator.outputs})
            last.update({index: number for index in operator.inputs if index >= 0 and not self._is_constant(index)})
        last.update(dict.fromkeys(self._graph.outputs, len(self.operators)))
        return [
            sum(
                self._activation_bytes(index)
                for index in first
                if first[index] <= number <= last.get(index, first[index])
            )
            for number in range(len(self.operators))
        ]

    def _macs(self, kind: str, operator: Any) -> int:
        outputs = self._count(operator.outputs[0])
        if kind not in _WEIGHTED:
            return 0
        weights = shape_of(self._graph.tensors[operator.inputs[1]])
        each = {
            "CONV_2D": lambda: weights[1] * weights[2] * weights[3],
            "DEPTHWISE_CONV_2D": lambda: weights[1] * weights[2],
            "FULLY_CONNECTED": lambda: weights[1],
        }
        return int(outputs * each[kind]())

    def _is_constant(self, index: int) -> bool:
        return is_constant(self._tree, self._graph.tensors[index])

    def _buffer_bytes(self, index: int) -> int:
        return len(self._tree.buffers[self._graph.tensors[index].buffer].data)

    def _count(self, index: int) -> int:
        return int(np.prod(shape_of(self._graph.tensors[index])))

    def _activation_bytes(self, index: int) -> int:
        return self._count(index) * _BYTES.get(self._graph.tensors[index].type, 1)


_BYTES = {
    value: np.dtype(name).itemsize
    for value, name in TYPES.items()
    if name in ("float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool")
}

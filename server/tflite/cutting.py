"""A TFLite graph cut into models of one operator each, which any TFLite runtime can time apart."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from server.tflite.flatbuffer import FAULTS, is_constant, kind_of, pack, schema, unpack

STATEFUL = frozenset({"CALL_ONCE", "IF", "WHILE", "CALL", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
"""Operators that mean something only within their graph."""


class CannotBeCut(ValueError):
    """The graph does more than pass tensors from one operator to the next."""


@dataclass(frozen=True)
class Cut:
    """One operator as a model of its own: its constants within, its activations as inputs."""

    index: int
    """The index of the operator in the file."""
    kind: str
    model: bytes
    inputs: tuple[int, ...]
    """Tensors of the whole file that it takes, in the order of its inputs."""
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class CutGraph:
    """A whole graph in pieces, in the order of execution."""

    cuts: Sequence[Cut]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def cut(model: bytes) -> CutGraph:
    """Cut the main graph of a file; raises ValueError, CannotBeCut for graphs with state or branches."""
    tree = unpack(model)
    try:
        graph = tree.subgraphs[0]
        kinds = [kind_of(tree, operator) for operator in graph.operators]
        stateful = sorted(STATEFUL.intersection(kinds))
        if stateful or any(tensor.isVariable for tensor in graph.tensors):
            raise CannotBeCut(f"the graph keeps state or branches ({', '.join(stateful) or 'variables'})")
        cuts = [_cut(tree, graph, index, kind) for index, kind in enumerate(kinds)]
        return CutGraph(cuts, _numbers(graph.inputs), _numbers(graph.outputs))
    except FAULTS as error:
        raise ValueError(f"the graph cannot be read: {error}") from error


def _cut(tree: Any, graph: Any, index: int, kind: str) -> Cut:
    operator = graph.operators[index]
    inputs, outputs = _numbers(operator.inputs), _numbers(operator.outputs)
    indices: dict[int, int] = {-1: -1}  # an optional input that is left out
    piece = schema.ModelT()
    piece.version, piece.description, piece.buffers = 3, f"operator {index}", [schema.BufferT()]
    alone = schema.SubGraphT()
    alone.name, alone.tensors = "main", []
    for number in (*inputs, *outputs):
        if number not in indices:
            indices[number] = len(alone.tensors)
            alone.tensors.append(_tensor(tree, piece, graph.tensors[number]))
    taken = tuple(dict.fromkeys(n for n in inputs if n >= 0 and not is_constant(tree, graph.tensors[n])))
    alone.inputs, alone.outputs = _renumbered(indices, taken), _renumbered(indices, outputs)
    lone = copy.copy(operator)
    lone.opcodeIndex, lone.inputs, lone.outputs = 0, _renumbered(indices, inputs), _renumbered(indices, outputs)
    alone.operators = [lone]
    piece.operatorCodes, piece.subgraphs = [tree.operatorCodes[operator.opcodeIndex]], [alone]
    return Cut(index, kind, pack(piece), taken, outputs)


def _tensor(tree: Any, piece: Any, tensor: Any) -> Any:
    moved = copy.copy(tensor)
    moved.buffer = 0
    if is_constant(tree, tensor):
        moved.buffer = len(piece.buffers)
        piece.buffers.append(tree.buffers[tensor.buffer])
    return moved


def _numbers(indices: Any) -> tuple[int, ...]:
    return () if indices is None else tuple(int(index) for index in indices)


def _renumbered(indices: dict[int, int], numbers: Sequence[int]) -> Any:
    return np.array([indices[number] for number in numbers], np.int32)

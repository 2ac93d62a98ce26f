"""Models of one operator each, for any TFLite interpreter: no profiler is needed.

The graph is cut up, each piece is fed what the pieces before it gave, and all are run in turn, so that each finds the
caches as in the whole model. What a call itself costs, measured on a lone RESHAPE in turn with the others, is taken
off. With several threads each piece has threads of its own, which would disturb the next one's: then each is run a
block at a time.
"""

import statistics
import time
from collections.abc import Sequence

import numpy as np

from server.profilers.base import ON_CPU, Executed, MethodUnavailable, require_cpu
from server.profilers.order import ProfileOrder
from server.runtimes.base import Array, ModelFiles
from server.runtimes.inspection import InspectedModel
from server.runtimes.noise import noise
from server.tflite.cutting import CannotBeCut, cut
from server.tflite.facts import GraphFacts
from server.tflite.graph import Graph
from server.tflite.writer import write

METHOD = "single-operator"
OVERHEAD_RUNS = 20
OVERHEAD_NS = 2_000_000_000
"""Time after which fewer runs are enough."""
THREADED_BLOCK = 32
SETTLE_NS = 5_000_000


def create(order: ProfileOrder, files: ModelFiles, facts: GraphFacts | None) -> "SingleOperatorProfiler":
    """The profiler of a job; raises MethodUnavailable for another device than the CPU."""
    require_cpu(order)
    return SingleOperatorProfiler(order, files.content)


class SingleOperatorProfiler:
    """One interpreter for the whole model and one for each operator."""

    method = METHOD
    rated_from_us = 10.0  # what a call costs is half of that, and differs from one to the next
    execution = ON_CPU
    detail: str | None = None

    def __init__(self, order: ProfileOrder, content: bytes) -> None:
        self._order = order
        self._content = content
        self._measured: list[list[float]] = []
        self._runs = 1 if order.threads == 1 else THREADED_BLOCK

    def load(self) -> None:
        """The whole model."""
        self._whole = self._open(self._content)

    def feed(self, seed: int) -> None:
        """Noise in all inputs."""
        source = np.random.default_rng(seed)
        self._frame = [noise(source, shape, np.dtype(dtype).name) for shape, dtype in self._whole.inputs]
        self._whole.feed(self._frame)

    def plain(self) -> None:
        """The whole model."""
        self._whole.invoke()

    def begin(self) -> Sequence[Executed]:
        """Cut the model up and run it piece by piece; says so when that gives another result than the whole."""
        try:
            graph = cut(self._content)
        except CannotBeCut as reason:
            raise MethodUnavailable(str(reason)) from reason
        values = dict(zip(graph.inputs, self._frame, strict=True))
        self._pieces = []
        for piece in graph.cuts:
            model = self._open(piece.model)
            values.update(zip(piece.outputs, model.run([values[index] for index in piece.inputs]), strict=True))
            self._pieces.append(model)
        chained = [values[index] for index in graph.outputs]
        if not _same(chained, self._whole.run(self._frame)):
            self.detail = "run one by one, the operators give another result than the whole model"
        self._pieces.append(self._lone())
        self._overhead_us = self._measured_overhead_us()
        return [Executed(piece.kind, piece.index) for piece in graph.cuts]

    def run(self) -> tuple[float, Sequence[float]]:
        """The whole model, then each of its operators: the next run of a block."""
        if not self._measured:
            self._measured = self._block(self._runs)
        whole_us, *operators_us, _ = self._measured.pop()
        return whole_us, [max(0.0, took_us - self._overhead_us) for took_us in operators_us]

    def collected(self) -> None:
        """`run` tells all."""

    def _block(self, runs: int) -> list[list[float]]:
        """Microseconds [runs, whole, operators, lone RESHAPE]; each is run so often before the next one's turn."""
        columns = []
        for model in (self._whole, *self._pieces):
            if runs > 1:
                _settle(model)
            columns.append([_timed_us(model) for _ in range(runs)])
        return [list(row) for row in zip(*columns, strict=True)]

    def _open(self, content: bytes) -> InspectedModel:
        order = self._order
        return InspectedModel(content, order.runtime, delegates=not order.builtin, threads=order.threads)

    def _lone(self) -> InspectedModel:
        lone = self._open(lone_reshape())
        lone.feed([np.zeros(shape, dtype) for shape, dtype in lone.inputs])
        return lone

    def _measured_overhead_us(self) -> float:
        """Found cold, as each piece is: the others have had the caches since its last turn."""
        took: list[float] = []
        until = time.perf_counter_ns() + OVERHEAD_NS
        self._block(1)
        while not took or (len(took) < OVERHEAD_RUNS and time.perf_counter_ns() < until):
            took += [row[-1] for row in self._block(self._runs)]
        return statistics.median(took)


def _timed_us(model: InspectedModel) -> float:
    before = time.perf_counter_ns()
    model.invoke()
    return (time.perf_counter_ns() - before) / 1e3


def _settle(model: InspectedModel) -> None:
    """Run until the threads of the model before, which spin a while for more to do, sleep."""
    until = time.perf_counter_ns() + SETTLE_NS
    while time.perf_counter_ns() < until:
        model.invoke()


def lone_reshape() -> bytes:
    """A model that does next to nothing."""
    graph = Graph()
    graph.source = graph.tensor("vector", (1, 8))
    graph.sink = graph.reshape("same", graph.source, (1, 8))
    return write(graph, "what a call costs")


def _same(left: Sequence[Array], right: Sequence[Array]) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(left, right, strict=True))

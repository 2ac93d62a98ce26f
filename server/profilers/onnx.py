"""ONNX Runtime's trace: the operators of its own optimised graph, with the provider that ran each."""

import time
from collections.abc import Sequence

from server.profilers.base import ON_CPU, Executed
from server.profilers.order import ProfileOrder
from server.runtimes import open_runtime
from server.runtimes.base import LoadOptions, ModelFault, ModelFiles, NodeTime
from server.runtimes.noise import noises
from server.runtimes.onnx import TracedModel
from server.tflite.facts import GraphFacts

METHOD = "onnxruntime-trace"
TRACED_OPERATORS = 20_000
"""The most operators that one session traces, in a file of about half a kilobyte each."""
COLD_RUNS = 3
"""Runs at the beginning of each session that are not counted."""


def create(order: ProfileOrder, files: ModelFiles, facts: GraphFacts | None) -> "OnnxProfiler":
    """The profiler of a job."""
    return OnnxProfiler(order, files)


class OnnxProfiler:
    """A plain session, and one after another that is traced."""

    method = METHOD
    rated_from_us = 10.0  # it counts whole microseconds
    detail: str | None = None
    execution = ON_CPU

    def __init__(self, order: ProfileOrder, files: ModelFiles) -> None:
        self._files = files
        self._order = order
        self._options = LoadOptions(threads=order.threads, device=order.device)
        self._times: list[list[float]] = []

    def load(self) -> None:
        """Open the plain session."""
        self._model = open_runtime(self._order.runtime, delegates=True).load(self._files, self._options)
        self.execution = self._model.execution

    def feed(self, seed: int) -> None:
        """Noise in all inputs."""
        self._frame = noises(seed, self._model.inputs)

    def plain(self) -> None:
        """Without a trace."""
        self._model.invoke(*self._frame)

    def begin(self) -> Sequence[Executed]:
        """The operators of one run."""
        self._traced = TracedModel(self._files, self._options)
        self._traced.run(self._frame)
        nodes = self._traced.end()[-1]
        self._count = len(nodes)
        self._left = 0
        self._in_session = 0
        self.detail = "operators of ONNX Runtime's own graph; tracing costs some time of its own"
        return [Executed(node.name, None, True, node.kernel, node.output_shape, node.output_dtype) for node in nodes]

    def run(self) -> tuple[float, None]:
        """One traced run."""
        if not self._left:
            self._end_session()
            self._begin_session()
        before = time.perf_counter_ns()
        self._traced.run(self._frame)
        whole_us = (time.perf_counter_ns() - before) / 1e3
        self._left -= 1
        self._in_session += 1
        return whole_us, None

    def collected(self) -> Sequence[Sequence[float]]:
        """Times of all runs so far."""
        self._end_session()
        self._left = 0
        return self._times

    def _begin_session(self) -> None:
        self._traced.begin()
        for _ in range(COLD_RUNS):
            self._traced.run(self._frame)
        self._left = max(1, TRACED_OPERATORS // max(1, self._count) - COLD_RUNS)

    def _end_session(self) -> None:
        if self._in_session:
            self._times += [_times(nodes, self._count) for nodes in self._traced.end()[-self._in_session :]]
            self._in_session = 0


def _times(nodes: Sequence[NodeTime], count: int) -> list[float]:
    if len(nodes) != count:
        raise ModelFault(f"{len(nodes)} operators ran instead of {count}")
    return [node.elapsed_us for node in nodes]

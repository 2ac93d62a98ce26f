"""OpenVINO's performance counters: the operators of its own compiled graph, with the kernels that ran.

OpenVINO converts, merges and reorders what the file says. Where its weighted operators are those of a TFLite file, in
the same order and with outputs of the same size, each is shown as the file's.
"""

import math
import time
from collections.abc import Sequence

from server.profilers.base import ON_CPU, Executed
from server.profilers.order import ProfileOrder
from server.runtimes import open_runtime
from server.runtimes.base import LoadOptions, ModelFiles, NodeTime
from server.runtimes.noise import noises
from server.runtimes.openvino import OpenVinoModel
from server.tflite.facts import GraphFacts

METHOD = "openvino-perf-count"
KINDS = {
    "Convolution": "CONV_2D",
    "GroupConvolution": "DEPTHWISE_CONV_2D",
    "FullyConnected": "FULLY_CONNECTED",
    "MatMul": "FULLY_CONNECTED",
}
"""How OpenVINO's names of weighted operators begin, and TFLite's."""


def create(order: ProfileOrder, files: ModelFiles, facts: GraphFacts | None) -> "OpenVinoProfiler":
    """The profiler of a job."""
    return OpenVinoProfiler(order, files, facts)


class OpenVinoProfiler:
    """One inference request of a model that was compiled with counters."""

    method = METHOD
    rated_from_us = 10.0  # it counts whole microseconds
    detail: str | None = None
    execution = ON_CPU

    def __init__(self, order: ProfileOrder, files: ModelFiles, facts: GraphFacts | None) -> None:
        self._order, self._files, self._facts = order, files, facts

    def load(self) -> None:
        """Compile the model."""
        runtime = open_runtime(self._order.runtime, delegates=True)
        order = self._order
        options = LoadOptions(threads=order.threads, device=order.device, precision=order.precision, profile=True)
        model = runtime.load(self._files, options)
        assert isinstance(model, OpenVinoModel)
        self._model, self.execution = model, model.execution

    def feed(self, seed: int) -> None:
        """Noise in all inputs."""
        self._frame = noises(seed, self._model.inputs)

    def plain(self) -> None:
        """The counters count always; they cost nothing that can be measured."""
        self._model.invoke(*self._frame)

    def begin(self) -> Sequence[Executed]:
        """The operators that the last run executed."""
        self._model.invoke(*self._frame)
        nodes, left_out = self._model.node_times()
        self.detail = f"operators of OpenVINO's own graph; {left_out} more were merged or optimised away"
        self._names = [node.name for node in nodes]
        indices = self._indices(nodes)
        return [
            Executed(node.name, indices.get(number), True, node.kernel, node.output_shape)
            for number, node in enumerate(nodes)
        ]

    def run(self) -> tuple[float, Sequence[float]]:
        """One inference, and the counters after it."""
        before = time.perf_counter_ns()
        self._model.invoke(*self._frame)
        whole_us = (time.perf_counter_ns() - before) / 1e3
        nodes, _ = self._model.node_times()
        times = {node.name: node.elapsed_us for node in nodes}
        return whole_us, [times.get(name, 0.0) for name in self._names]

    def collected(self) -> None:
        """`run` tells all."""

    def _indices(self, nodes: Sequence[NodeTime]) -> dict[int, int]:
        """The file's operator for each weighted node; empty unless they correspond one to one."""
        if self._facts is None:
            return {}
        weighted = [operator for operator in self._facts.operators if operator.macs]
        known = [(number, node) for number, node in enumerate(nodes) if _kind(node) is not None]
        if len(known) != len(weighted):
            return {}
        for (_, node), operator in zip(known, weighted, strict=True):
            if _kind(node) != operator.kind or node.output_shape is None:
                return {}
            if math.prod(node.output_shape) != math.prod(operator.output_shape):
                return {}
        return {number: operator.index for (number, _), operator in zip(known, weighted, strict=True)}


def _kind(node: NodeTime) -> str | None:
    """TFLite's name of a weighted operator, None for others."""
    return next((kind for word, kind in KINDS.items() if node.kernel.startswith(word)), None)

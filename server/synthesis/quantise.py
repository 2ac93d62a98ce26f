"""A float graph as an int8 one, by TFLite's 8-bit specification.

Activations are asymmetric per tensor with the ranges that the LiteRT interpreter shows on calibration frames; weights
symmetric, per channel in convolutions; biases int32 with scale input x weights.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Literal

import numpy as np

from server.runtimes.inspection import InspectedModel
from server.tflite.graph import Floats, Graph, Quantisation
from server.tflite.writer import write

Ranges = Mapping[int, tuple[float, float]]
"""Smallest and largest value of each activation, zero included."""

CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Along which axis of the weights the output channels run."""
PROBABILITIES = Quantisation(np.array([1 / 256], np.float32), -128)
"""What TFLite's kernels want of a softmax."""
_LEAST_RANGE = 1e-8


def calibrate(graph: Graph, frames: Sequence[Floats]) -> Ranges:
    """Run the float graph on frames of its input's shape and note the range of every activation."""
    values = InspectedModel(write(graph, "calibration"), keep_all=True)
    ranges = dict.fromkeys(graph.activations(), (0.0, 0.0))
    for frame in frames:
        values.run([frame])
        for index, (low, high) in ranges.items():
            seen = values.tensor(index)
            ranges[index] = min(low, float(seen.min())), max(high, float(seen.max()))
    return ranges


def quantise(graph: Graph, ranges: Ranges, *, io: Literal["int8", "uint8"] = "int8") -> Graph:
    """The int8 graph; with `io="uint8"` two QUANTIZE operators more, for programs that feed stored pixels."""
    quantised = deepcopy(graph)
    for index, (low, high) in ranges.items():
        quantised.tensors[index].dtype = np.dtype(np.int8)
        quantised.tensors[index].quantisation = _activation(low, high)
    for operator in quantised.operators:
        if operator.kind == "SOFTMAX":
            quantised.tensors[operator.output].quantisation = PROBABILITIES
        elif operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            x, weights, bias = operator.inputs
            _quantise_weights(quantised, CHANNEL_AXES.get(operator.kind), x, weights, bias)
    return quantised if io == "int8" else _with_uint8(quantised)


def _activation(low: float, high: float) -> Quantisation:
    scale = max(high - low, _LEAST_RANGE) / 255
    return Quantisation(np.array([scale], np.float32), round(-128 - low / scale))


def _quantise_weights(graph: Graph, axis: int | None, x: int, weights: int, bias: int) -> None:
    stored, offsets = graph.tensors[weights], graph.tensors[bias]
    source = graph.tensors[x].quantisation
    assert stored.data is not None
    assert offsets.data is not None
    assert source is not None
    others = tuple(each for each in range(stored.data.ndim) if each != axis)
    largest = np.atleast_1d(np.abs(stored.data.astype(np.float64)).max(axis=others if axis is not None else None))
    scale = (np.maximum(largest, _LEAST_RANGE) / 127).astype(np.float32)
    along = scale.reshape([-1 if each == axis else 1 for each in range(stored.data.ndim)])
    stored.data = np.clip(np.round(stored.data / along), -127, 127).astype(np.int8)
    stored.dtype, stored.quantisation = stored.data.dtype, Quantisation(scale, 0, axis or 0)
    bias_scale = (scale * source.scale).astype(np.float32)
    offsets.data = np.round(offsets.data / bias_scale).astype(np.int32)
    offsets.dtype, offsets.quantisation = offsets.data.dtype, Quantisation(bias_scale)


def _with_uint8(graph: Graph) -> Graph:
    """Stored values 128 higher at both ends, so that the real ones stay."""
    first, last = graph.tensors[graph.source], graph.tensors[graph.sink]
    source = graph.tensor("input_uint8", first.shape, "uint8", quantisation=_shifted(first.quantisation))
    sink = graph.tensor("output_uint8", last.shape, "uint8", quantisation=_shifted(last.quantisation))
    graph.append("QUANTIZE", [source], graph.source)
    graph.operators.insert(0, graph.operators.pop())
    graph.append("QUANTIZE", [graph.sink], sink)
    graph.source, graph.sink = source, sink
    return graph


def _shifted(quantisation: Quantisation | None) -> Quantisation:
    assert quantisation is not None
    return Quantisation(quantisation.scale, quantisation.zero_point + 128)

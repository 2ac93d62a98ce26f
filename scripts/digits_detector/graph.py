"""The trained detector as a TFLite file: convolutions in int8, and a float head like YOLOv8's.

The head puts out [1, 14, 256]: of each place the centre, width and height of a box as shares of the input's sides,
and ten scores. Weights of the box's four edges are mixed so that one convolution gives centre and size.
"""

from collections.abc import Sequence

import numpy as np

from scripts.digits_detector.network import CLASSES, EDGES, INPUT_SIDE, SIDE, STRIDE, Network, places
from scripts.digits_model.network import Array
from server.synthesis.quantise import calibrate, quantise
from server.tflite.graph import Graph
from server.tflite.writer import write

FROM_EDGES = np.array(
    [[-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5], [1, 0, 1, 0], [0, 1, 0, 1]],
    np.float32,
)
"""Rows: centre x and y from the place, width and height; columns: distances of the left, top, right and bottom edge."""
DESCRIPTION = "edgerun digits-detector: digits in a scene, with a head like YOLOv8's"


def detector(network: Network, frames: Sequence[Array]) -> bytes:
    """The file. `frames` [1, 128, 128, 1] of ink 0 to 1 show the ranges of what is quantised."""
    body = _body(network)
    graph = quantise(body, calibrate(body, frames))
    _append_head(graph, network)
    return write(graph, DESCRIPTION)


def float_detector(network: Network) -> bytes:
    """The same without quantisation, to see what that costs."""
    graph = _body(network)
    _append_head(graph, network)
    return write(graph, DESCRIPTION)


def _body(network: Network) -> Graph:
    graph = Graph()
    x = graph.source = graph.tensor("ink", (1, INPUT_SIDE, INPUT_SIDE, 1))
    for index, conv in enumerate(network.convs):
        x = graph.convolution(f"conv{index}", x, conv.weights.value, conv.bias.value, stride=conv.stride, act="relu")
    graph.sink = x
    return graph


def _append_head(graph: Graph, network: Network) -> None:
    quantised = graph.tensors[graph.sink].quantisation is not None
    features = graph.dequantize("features", graph.sink) if quantised else graph.sink
    weights, bias = network.weights.value, network.bias.value
    unit = np.float32(STRIDE / INPUT_SIDE)
    mixed = (FROM_EDGES @ weights[CLASSES:] * unit, FROM_EDGES @ bias[CLASSES:] * unit)
    boxes = graph.convolution("boxes", features, _as_kernel(mixed[0]), mixed[1])
    centres = np.concatenate([places() / INPUT_SIDE, np.zeros((SIDE, SIDE, 2))], axis=-1).astype(np.float32)
    placed = graph.add("placed", boxes, graph.constant("places", centres[np.newaxis]))
    logits = graph.convolution("logits", features, _as_kernel(weights[:CLASSES]), bias[:CLASSES])
    scores = graph.logistic("scores", logits)
    flat = [
        graph.reshape(f"flat_{name}", index, (1, SIDE * SIDE, numbers))
        for name, index, numbers in (("boxes", placed, EDGES), ("scores", scores, CLASSES))
    ]
    graph.sink = graph.transpose("detections", graph.concatenation("rows", flat, 2), (0, 2, 1))
    graph.sink_name = "detections"


def _as_kernel(weights: Array) -> Array:
    """[outputs, inputs] as a convolution of 1 x 1."""
    return weights.astype(np.float32)[:, np.newaxis, np.newaxis]

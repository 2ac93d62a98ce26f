"""ResNet20 for CIFAR-10 and MobileNetV2 1.0 224, with weights drawn from a seeded generator.

Batch normalisation is taken as folded into the convolutions, as converters leave it.
"""

import numpy as np

from server.tflite.graph import Floats, Graph

SEED = 24
"""One whose classes lie apart, so that int8 and float32 agree on the best one."""
RESNET20_STAGES = ((16, 1), (32, 2), (64, 2))
"""Channels, and stride of the first of three blocks (He et al. 2016, section 4.2; projections where shapes change)."""
MOBILENET_V2_STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
"""Expansion, channels, blocks, stride of the first one (Sandler et al. 2018, table 2)."""

_BIAS_STD = 0.05
_RESIDUAL_GAIN = 0.4
"""What a block adds is scaled down, so that activations keep their size through many blocks."""
_LOGIT_STD = 4.0


class _Weights:
    """Draws weights whose outputs keep the variance of their inputs (He et al. 2015: 2 / fan-in before a ReLU)."""

    def __init__(self, seed: int) -> None:
        self._source = np.random.default_rng(seed)

    def convolution(self, outputs: int, size: int, inputs: int, gain: float = 2.0) -> tuple[Floats, Floats]:
        return self._draw((outputs, size, size, inputs), size * size * inputs, gain, outputs)

    def depthwise(self, size: int, channels: int) -> tuple[Floats, Floats]:
        return self._draw((1, size, size, channels), size * size, 2.0, channels)

    def dense(self, outputs: int, inputs: int) -> tuple[Floats, Floats]:
        return self._draw((outputs, inputs), inputs, _LOGIT_STD**2, outputs)

    def _draw(self, shape: tuple[int, ...], fan_in: int, gain: float, outputs: int) -> tuple[Floats, Floats]:
        weights = self._source.standard_normal(shape) * np.sqrt(gain / fan_in)
        bias = self._source.standard_normal(outputs) * _BIAS_STD
        return weights.astype(np.float32), bias.astype(np.float32)


def resnet20(seed: int = SEED) -> Graph:
    """32x32x3 in, 10 classes out: 33 operators, 40.81 M multiply-accumulates, 0.27 M parameters."""
    graph, weights = Graph(), _Weights(seed)
    graph.source = graph.tensor("image", (1, 32, 32, 3))
    x = graph.convolution("conv1", graph.source, *weights.convolution(16, 3, 3), act="relu")
    for stage, (channels, first_stride) in enumerate(RESNET20_STAGES, 2):
        for block in range(3):
            name, stride = f"conv{stage}_{block + 1}", first_stride if block == 0 else 1
            inputs = graph.shape(x)[3]
            shortcut = x
            y = graph.convolution(f"{name}/1", x, *weights.convolution(channels, 3, inputs), stride=stride, act="relu")
            y = graph.convolution(f"{name}/2", y, *weights.convolution(channels, 3, channels, _RESIDUAL_GAIN))
            if inputs != channels:
                projection = weights.convolution(channels, 1, inputs, 1.0)
                shortcut = graph.convolution(f"{name}/shortcut", x, *projection, stride=stride)
            x = graph.add(f"{name}/add", shortcut, y, act="relu")
    return _classified(graph, weights, x, 10)


def mobilenet_v2(seed: int = SEED) -> Graph:
    """224x224x3 in, 1000 classes out: 65 operators, 300.8 M multiply-accumulates, 3.49 M parameters."""
    graph, weights = Graph(), _Weights(seed)
    graph.source = graph.tensor("image", (1, 224, 224, 3))
    x = graph.convolution("conv1", graph.source, *weights.convolution(32, 3, 3), stride=2, act="relu6")
    number = 0
    for expansion, channels, blocks, first_stride in MOBILENET_V2_STAGES:
        for block in range(blocks):
            number += 1
            x = _bottleneck(graph, weights, f"block{number}", x, expansion, channels, first_stride if block == 0 else 1)
    x = graph.convolution("conv2", x, *weights.convolution(1280, 1, graph.shape(x)[3]), act="relu6")
    return _classified(graph, weights, x, 1000)


def _bottleneck(graph: Graph, weights: _Weights, name: str, x: int, expansion: int, channels: int, stride: int) -> int:
    inputs = graph.shape(x)[3]
    y, inner = x, inputs * expansion
    if expansion > 1:
        y = graph.convolution(f"{name}/expand", y, *weights.convolution(inner, 1, inputs), act="relu6")
    y = graph.depthwise(f"{name}/depthwise", y, *weights.depthwise(3, inner), stride=stride, act="relu6")
    adds = stride == 1 and inputs == channels
    y = graph.convolution(
        f"{name}/project", y, *weights.convolution(channels, 1, inner, _RESIDUAL_GAIN if adds else 1.0)
    )
    return graph.add(f"{name}/add", x, y) if adds else y


def _classified(graph: Graph, weights: _Weights, x: int, classes: int) -> Graph:
    features = graph.mean("pool", x)
    logits = graph.fully_connected("logits", features, *weights.dense(classes, graph.shape(features)[1]))
    graph.sink = graph.softmax("probabilities", logits)
    return graph

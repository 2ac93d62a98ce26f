"""A graph of TFLite operators, built layer by layer, as the writer and the quantiser take it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Quantisation:
    """real = scale x (stored - zero_point); several scales run along `axis`."""

    scale: NDArray[np.float32]
    zero_point: int = 0
    axis: int = 0


@dataclass
class GraphTensor:
    """An activation, or a constant when it has data."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: Array | None = None
    quantisation: Quantisation | None = None


@dataclass
class Operator:
    """One operator: TFLite's name, tensors by index, and the fields of its options as the schema names them."""

    kind: str
    inputs: list[int]
    output: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Graph:
    """Tensors and operators in the order of execution; layers return the index of their output."""

    tensors: list[GraphTensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    source: int = -1
    sink: int = -1
    sink_name: str = "probabilities"
    """What the signature calls the output."""

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "float32",
        data: Array | None = None,
        quantisation: Quantisation | None = None,
    ) -> int:
        """Add a tensor and give its index."""
        self.tensors.append(GraphTensor(name, tuple(shape), np.dtype(dtype), data, quantisation))
        return len(self.tensors) - 1

    def constant(self, name: str, data: Array, quantisation: Quantisation | None = None) -> int:
        """Add values that are known beforehand."""
        return self.tensor(name, data.shape, data.dtype.name, data, quantisation)

    def append(self, kind: str, inputs: Sequence[int], output: int, **options: Any) -> int:
        """Add an operator and give the index of its output."""
        self.operators.append(Operator(kind, list(inputs), output, options))
        return output

    def shape(self, index: int) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self.tensors[index].shape

    def activations(self) -> list[int]:
        """Tensors without data."""
        return [index for index, tensor in enumerate(self.tensors) if tensor.data is None]

    def convolution(self, name: str, x: int, weights: Floats, bias: Floats, *, stride: int = 1, act: str = "") -> int:
        """CONV_2D with SAME padding; `weights` [outputs, height, width, inputs]."""
        batch, height, width, _ = self.shape(x)
        y = self.tensor(name, (batch, -(-height // stride), -(-width // stride), weights.shape[0]))
        return self.append("CONV_2D", self._weighted(name, x, weights, bias), y, stride=stride, activation=act)

    def depthwise(self, name: str, x: int, weights: Floats, bias: Floats, *, stride: int = 1, act: str = "") -> int:
        """DEPTHWISE_CONV_2D with SAME padding; `weights` [1, height, width, channels]."""
        batch, height, width, channels = self.shape(x)
        y = self.tensor(name, (batch, -(-height // stride), -(-width // stride), channels))
        return self.append(
            "DEPTHWISE_CONV_2D", self._weighted(name, x, weights, bias), y, stride=stride, activation=act
        )

    def add(self, name: str, a: int, b: int, *, act: str = "") -> int:
        """Sum of two tensors of the same shape."""
        return self.append("ADD", [a, b], self.tensor(name, self.shape(a)), activation=act)

    def mean(self, name: str, x: int) -> int:
        """Average over height and width: [batch, channels]."""
        batch, _, _, channels = self.shape(x)
        axes = self.constant(f"{name}/axes", np.array([1, 2], np.int32))
        return self.append("MEAN", [x, axes], self.tensor(name, (batch, channels)))

    def reshape(self, name: str, x: int, shape: Sequence[int]) -> int:
        """The same values in another shape."""
        target = self.constant(f"{name}/shape", np.array(shape, np.int32))
        return self.append("RESHAPE", [x, target], self.tensor(name, shape), shape=tuple(shape))

    def fully_connected(self, name: str, x: int, weights: Floats, bias: Floats) -> int:
        """`weights` [outputs, inputs]."""
        y = self.tensor(name, (self.shape(x)[0], weights.shape[0]))
        return self.append("FULLY_CONNECTED", self._weighted(name, x, weights, bias), y)

    def softmax(self, name: str, x: int) -> int:
        """Probabilities over the last axis."""
        return self.append("SOFTMAX", [x], self.tensor(name, self.shape(x)))

    def logistic(self, name: str, x: int) -> int:
        """The sigmoid of each value."""
        return self.append("LOGISTIC", [x], self.tensor(name, self.shape(x)))

    def dequantize(self, name: str, x: int) -> int:
        """Real numbers of a quantised tensor."""
        return self.append("DEQUANTIZE", [x], self.tensor(name, self.shape(x)))

    def concatenation(self, name: str, parts: Sequence[int], axis: int) -> int:
        """Tensors one after the other along an axis."""
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        return self.append("CONCATENATION", parts, self.tensor(name, shape), axis=axis)

    def transpose(self, name: str, x: int, order: Sequence[int]) -> int:
        """The axes of a tensor in another order."""
        axes = self.constant(f"{name}/order", np.array(order, np.int32))
        return self.append("TRANSPOSE", [x, axes], self.tensor(name, [self.shape(x)[axis] for axis in order]))

    def _weighted(self, name: str, x: int, weights: Floats, bias: Floats) -> list[int]:
        return [x, self.constant(f"{name}/weights", weights), self.constant(f"{name}/bias", bias)]

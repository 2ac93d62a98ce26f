"""A small convolutional classifier in numpy: forward, backward, Adam."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
KERNEL = 3
FEATURES = 4 * 4 * 32


@dataclass
class Parameter:
    """A weight tensor with its gradient and the moments that Adam keeps."""

    value: Array
    grad: Array = field(init=False)
    first: Array = field(init=False)
    second: Array = field(init=False)

    def __post_init__(self) -> None:
        self.grad, self.first, self.second = (np.zeros_like(self.value) for _ in range(3))

    def step(self, rate: float, count: int, decay: float = 1e-4) -> None:
        """One Adam step (Kingma and Ba, 2015) with decoupled weight decay."""
        self.first = cast(Array, 0.9 * self.first + 0.1 * self.grad)
        self.second = cast(Array, 0.999 * self.second + 0.001 * self.grad**2)
        direction = (self.first / (1 - 0.9**count)) / (np.sqrt(self.second / (1 - 0.999**count)) + 1e-8)
        self.value -= (rate * (direction + decay * self.value)).astype(np.float32)


class Conv:
    """3x3 convolution with padding "same", a stride and ReLU. Weights are [out, 3, 3, in] as TFLite stores them."""

    def __init__(self, rng: np.random.Generator, inputs: int, outputs: int, stride: int = 1) -> None:
        spread = np.sqrt(2 / (KERNEL * KERNEL * inputs))
        self.weights = Parameter(rng.normal(0, spread, (outputs, KERNEL, KERNEL, inputs)).astype(np.float32))
        self.bias = Parameter(np.zeros(outputs, np.float32))
        self.stride = stride

    def forward(self, x: Array) -> Array:
        """[n, h, w, in] to [n, h/stride, w/stride, out]."""
        self.shape = x.shape
        self.columns = self._unfold(x)
        flat = self.columns @ self.weights.value.reshape(len(self.bias.value), -1).T + self.bias.value
        self.active = flat > 0
        return cast(Array, flat * self.active)

    def backward(self, grad: Array) -> Array:
        """Store the parameters' gradients and return the input's."""
        grad = self.backward_parameters(grad)
        return self._fold(grad @ self.weights.value.reshape(len(self.bias.value), -1))

    def backward_parameters(self, grad: Array) -> Array:
        """Store the parameters' gradients and return that of what the ReLU was given."""
        grad = cast(Array, grad * self.active)
        outputs = len(self.bias.value)
        flat = grad.reshape(-1, outputs)
        self.weights.grad = (flat.T @ self.columns.reshape(len(flat), -1)).reshape(self.weights.value.shape)
        self.bias.grad = flat.sum(axis=0)
        return grad

    def _pads(self, size: int) -> tuple[int, int]:
        """TFLite's "same" padding: the odd pixel goes to the end."""
        total = max((-(-size // self.stride) - 1) * self.stride + KERNEL - size, 0)
        return total // 2, total - total // 2

    def _unfold(self, x: Array) -> Array:
        rows, cols = self._pads(x.shape[1]), self._pads(x.shape[2])
        padded = np.pad(x, ((0, 0), rows, cols, (0, 0)))
        view: Callable[..., Array] = np.lib.stride_tricks.sliding_window_view
        windows = view(padded, (KERNEL, KERNEL), axis=(1, 2))[:, :: self.stride, :: self.stride].transpose(
            0, 1, 2, 4, 5, 3
        )
        return np.ascontiguousarray(windows).reshape(*windows.shape[:3], -1)

    def _fold(self, columns: Array) -> Array:
        n, height, width, channels = self.shape
        rows, cols = self._pads(height), self._pads(width)
        padded = np.zeros((n, height + sum(rows), width + sum(cols), channels), np.float32)
        patches = columns.reshape(*columns.shape[:3], KERNEL, KERNEL, channels)
        down, right = patches.shape[1] * self.stride, patches.shape[2] * self.stride
        for i in range(KERNEL):
            for j in range(KERNEL):
                padded[:, i : i + down : self.stride, j : j + right : self.stride] += patches[:, :, :, i, j]
        return padded[:, rows[0] : rows[0] + height, cols[0] : cols[0] + width]


class Network:
    """conv 16, conv 32 stride 2, conv 32, all positions to ten logits: 19 178 parameters."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.convs = [Conv(rng, 1, 16), Conv(rng, 16, 32, stride=2), Conv(rng, 32, 32)]
        self.weights = Parameter(rng.normal(0, np.sqrt(1 / FEATURES), (10, FEATURES)).astype(np.float32))
        self.bias = Parameter(np.zeros(10, np.float32))

    @property
    def parameters(self) -> list[Parameter]:
        """Everything that is trained."""
        convs = [parameter for conv in self.convs for parameter in (conv.weights, conv.bias)]
        return [*convs, self.weights, self.bias]

    def activations(self, x: Array) -> list[Array]:
        """Every tensor on the way from pixels [n, 8, 8, 1] in 0..1 to logits [n, 10], the input first."""
        values = [x]
        for conv in self.convs:
            values.append(conv.forward(values[-1]))
        values.append(values[-1].reshape(len(x), -1))
        values.append(values[-1] @ self.weights.value.T + self.bias.value)
        return values

    def train_step(self, x: Array, labels: NDArray[np.intp], rate: float, count: int) -> None:
        """One step down the cross-entropy of a batch."""
        *_, features, flat, logits = self.activations(x)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        grad = odds / odds.sum(axis=1, keepdims=True)
        grad[np.arange(len(labels)), labels] -= 1
        grad /= len(labels)
        self.weights.grad, self.bias.grad = grad.T @ flat, grad.sum(axis=0)
        back = (grad @ self.weights.value).reshape(features.shape)
        for conv in reversed(self.convs):
            back = conv.backward(back)
        for parameter in self.parameters:
            parameter.step(rate, count)


def accuracy(network: Network, x: Array, labels: NDArray[np.intp]) -> float:
    """Share of pictures whose best class is the right one."""
    return float((network.activations(x)[-1].argmax(axis=1) == labels).mean())

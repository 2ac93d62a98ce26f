"""A small fully convolutional detector in numpy: a digit's class and edges at each eighth pixel."""

import numpy as np
from numpy.typing import NDArray

from scripts.digits_model.network import Array, Conv, Parameter

INPUT_SIDE = 128
STRIDE = 8
"""Pixels of the input between two places, on either side."""
SIDE = INPUT_SIDE // STRIDE
CLASSES = 10
EDGES = 4
"""Distances from a place to the left, top, right and bottom edge of a digit's box, in strides."""
LAYERS = ((1, 8, 2), (8, 16, 2), (16, 24, 1), (24, 40, 2), (40, 48, 1), (48, 48, 1), (48, 48, 1))
"""Inputs, outputs and stride of each convolution; the last place sees 71 x 71 pixels."""
USUAL_EDGE = 1.5
"""What the untrained network takes for the distance of an edge, in strides."""
RARE = -4.0
"""What the untrained network takes for the logit of a class: digits are at few places."""


class Network:
    """Seven convolutions of 3 x 3 with ReLU, and one of 1 x 1 to ten classes and four edges."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.convs = [Conv(rng, inputs, outputs, stride) for inputs, outputs, stride in LAYERS]
        features = LAYERS[-1][1]
        self.weights = Parameter(rng.normal(0, 0.02, (CLASSES + EDGES, features)).astype(np.float32))
        self.bias = Parameter(np.array([RARE] * CLASSES + [USUAL_EDGE] * EDGES, np.float32))

    @property
    def parameters(self) -> list[Parameter]:
        """Everything that is trained."""
        convs = [parameter for conv in self.convs for parameter in (conv.weights, conv.bias)]
        return [*convs, self.weights, self.bias]

    def forward(self, x: Array) -> Array:
        """Ink 0 to 1 [n, 128, 128, 1] to logits and edges [n, 16, 16, 14]."""
        for conv in self.convs:
            x = conv.forward(x)
        self._features = x
        return np.asarray(x @ self.weights.value.T + self.bias.value, np.float32)

    def backward(self, grad: Array) -> None:
        """Store every parameter's gradient, given that of the output."""
        flat = grad.reshape(-1, CLASSES + EDGES)
        self.weights.grad = np.asarray(flat.T @ self._features.reshape(len(flat), -1), np.float32)
        self.bias.grad = flat.sum(axis=0)
        back = np.asarray(grad @ self.weights.value, np.float32)
        for conv in reversed(self.convs[1:]):
            back = conv.backward(back)
        self.convs[0].backward_parameters(back)


def places() -> NDArray[np.float32]:
    """Centres of all places in pixels of the input, x before y: [16, 16, 2]."""
    centres = (np.arange(SIDE, dtype=np.float32) + 0.5) * STRIDE
    return np.stack(np.meshgrid(centres, centres), axis=-1)

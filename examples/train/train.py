"""Train a small network for a set time and say how far it came.

The network learns which of three spirals a point belongs to. Run it on a device with `client run`, once in each
configuration, and compare with `compare.py`: examples/README.md has the commands. Needs numpy only, which every agent
has.
"""

import argparse
import itertools
import json
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

CLASSES = 3
POINTS = 3000
RATE = 0.05
REPORT_S = 1.0


def spirals(rng: np.random.Generator) -> tuple[Array, NDArray[np.intp]]:
    """Points of shape [POINTS, 3] (x, y and a constant 1 as bias) on noisy spirals, and which one each belongs to."""
    labels = rng.integers(0, CLASSES, POINTS)
    radius = rng.uniform(0.05, 1.0, POINTS)
    angle = 4 * radius + labels * 2 * np.pi / CLASSES + rng.normal(0, 0.12, POINTS)
    return np.stack([radius * np.sin(angle), radius * np.cos(angle), np.ones(POINTS)], 1).astype(np.float32), labels


class Network:
    """Three layers, ReLU between them, trained by stochastic gradient descent with momentum."""

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        sizes = [3, width, width, CLASSES]
        self.weights = [
            (rng.normal(0, np.sqrt(2 / rows), (rows, columns))).astype(np.float32)
            for rows, columns in itertools.pairwise(sizes)
        ]
        self.speed = [np.zeros_like(weight) for weight in self.weights]

    def layers(self, x: Array) -> list[Array]:
        """The input, the activations of both hidden layers, and the scores."""
        values = [x]
        for weight in self.weights[:-1]:
            values.append(np.maximum(values[-1] @ weight, 0))
        return [*values, values[-1] @ self.weights[-1]]

    def step(self, x: Array, labels: NDArray[np.intp]) -> float:
        """One step; gives the loss before it."""
        values = self.layers(x)
        odds = np.exp(values[-1] - values[-1].max(1, keepdims=True))
        odds /= odds.sum(1, keepdims=True)
        rows = np.arange(len(x))
        loss = float(-np.log(odds[rows, labels] + 1e-9).mean())
        back = odds
        back[rows, labels] -= 1
        back /= len(x)
        for layer in reversed(range(len(self.weights))):
            slope = values[layer].T @ back
            if layer:
                back = (back @ self.weights[layer].T) * (values[layer] > 0)
            self.speed[layer] = 0.9 * self.speed[layer] - RATE * slope
            self.weights[layer] += self.speed[layer]
        return loss

    def accuracy(self, x: Array, labels: NDArray[np.intp]) -> float:
        """Share of points whose spiral is found."""
        return float((self.layers(x)[-1].argmax(1) == labels).mean())


def main() -> None:
    """Train, report once a second, and leave `summary.json` in $OUTPUT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to train")
    parser.add_argument("--width", type=int, default=512, help="units of a hidden layer")
    parser.add_argument("--batch", type=int, default=256)
    arguments = parser.parse_args()
    rng = np.random.default_rng(7)
    x, labels = spirals(rng)
    network = Network(arguments.width, rng)
    steps, started = 0, time.perf_counter()
    next_report = REPORT_S
    while (elapsed := time.perf_counter() - started) < arguments.seconds:
        chosen = rng.integers(0, POINTS, arguments.batch)
        loss = network.step(x[chosen], labels[chosen])
        steps += 1
        if elapsed >= next_report:
            print(f"{elapsed:5.1f} s  {steps} steps  loss {loss:.4f}")
            next_report += REPORT_S
    summary = {
        "steps": steps,
        "steps_per_s": steps / elapsed,
        "accuracy": network.accuracy(x, labels),
        "seconds": elapsed,
        "width": arguments.width,
        "batch": arguments.batch,
        "threads": os.environ.get("OPENBLAS_NUM_THREADS"),
    }
    Path(os.environ.get("OUTPUT", "."), "summary.json").write_text(json.dumps(summary, indent=2))
    print(f"{steps} steps, accuracy {summary['accuracy']:.3f}")


if __name__ == "__main__":
    main()

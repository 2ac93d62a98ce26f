"""Train, quantise, measure through the runtime, and write the files under image_model/embedded."""

import hashlib
import json
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from image_model.catalog import EMBEDDED_FOLDER, SAMPLES_FOLDER
from scripts.digits_model.network import Array, Network, accuracy
from scripts.digits_model.writer import quantised_model

HELD_OUT = 360
"""The last 360 of 1797 pictures, in the order in which they were collected."""
EPOCHS = 80
BATCH = 48
SEED = 7
SAMPLE_SIZE = 128

Labels = NDArray[np.intp]


def load() -> tuple[Array, Labels]:
    """Ink 0 to 1 of shape [1797, 8, 8, 1], and the digits."""
    digits = load_digits()
    return (digits.images / 16).astype(np.float32)[..., None], digits.target.astype(np.intp)


def augmented(x: Array, rng: np.random.Generator) -> Array:
    """A batch with each picture turned, scaled, slanted and moved a little, its ink stronger or weaker."""
    count, size = len(x), x.shape[1]
    angle, stretch, slant = rng.uniform([[-0.17], [0.9], [-0.1]], [[0.17], [1.1], [0.1]], (3, count))
    shift = rng.uniform(-0.7, 0.7, (2, count, 1, 1))
    rows, columns = np.meshgrid(np.arange(size) - 3.5, np.arange(size) - 3.5, indexing="ij")
    cosine, sine = ((wave(angle) / stretch)[:, None, None] for wave in (np.cos, np.sin))
    y = cosine * rows - sine * columns + shift[0] + 3.5
    z = sine * rows + cosine * columns + slant[:, None, None] * rows + shift[1] + 3.5
    ink = _bilinear(x[..., 0], y, z) * rng.uniform(0.8, 1.2, (count, 1, 1)) + rng.normal(0, 0.03, y.shape)
    return np.asarray(np.clip(ink, 0, 1), np.float32)[..., None]


def _bilinear(images: Array, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sample each picture [n, 8, 8] at its own fractional rows y and columns x; outside there is no ink."""
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    y, x = ((v + 1).clip(0, images.shape[1] + 0.999) for v in (y, x))
    top, left = y.astype(int), x.astype(int)
    down, right = y - top, x - left
    n = np.arange(len(images))[:, None, None]
    upper = padded[n, top, left] * (1 - right) + padded[n, top, left + 1] * right
    lower = padded[n, top + 1, left] * (1 - right) + padded[n, top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float64)


def train(x: Array, labels: Labels) -> Network:
    """Adam with a rate that falls along a cosine to nothing."""
    rng = np.random.default_rng(SEED)
    network = Network(rng)
    steps = EPOCHS * (len(x) // BATCH)
    for count in range(1, steps + 1):
        chosen = rng.integers(0, len(x), BATCH)
        rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * count / steps))
        network.train_step(augmented(x[chosen], rng), labels[chosen], rate, count)
    return network


def tensor_card(details: dict[str, Any]) -> dict[str, Any]:
    """A tensor as `contract.models.TensorInfo` writes it."""
    scale, zero_point = details["quantization"] if details["quantization"][0] else (None, None)
    shape = [int(size) for size in details["shape"]]
    dtype = np.dtype(details["dtype"]).name
    return {"name": details["name"], "shape": shape, "dtype": dtype, "scale": scale, "zero_point": zero_point}


def measured_accuracy(interpreter: Any, x: Array, labels: Labels) -> float:
    """Accuracy of the written file through the runtime, not of the float network."""
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = source["quantization"]
    right = 0
    for image, label in zip(x, labels, strict=True):
        interpreter.set_tensor(source["index"], np.round(image / scale + zero_point).astype(np.int8)[None])
        interpreter.invoke()
        right += int(interpreter.get_tensor(sink["index"])[0].argmax() == label)
    return right / len(labels)


def save_samples(x: Array, labels: Labels) -> None:
    """The first held-out picture of each digit, whether the model gets it right or not, as dark ink on white."""
    SAMPLES_FOLDER.mkdir(parents=True, exist_ok=True)
    for digit in range(10):
        ink = x[int(np.argmax(labels == digit))][..., 0]
        paper = Image.fromarray(np.round(255 - 255 * ink).astype(np.uint8))
        paper.resize((SAMPLE_SIZE, SAMPLE_SIZE), Image.Resampling.BICUBIC).save(
            SAMPLES_FOLDER / f"digit-{digit}.png", optimize=True
        )


def main() -> None:
    """Write model, labels, samples and the card with the held-out accuracy."""
    x, labels = load()
    network = train(x[:-HELD_OUT], labels[:-HELD_OUT])
    float_accuracy = accuracy(network, x[-HELD_OUT:], labels[-HELD_OUT:])
    model = quantised_model(network, x[:-HELD_OUT])
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    int8_accuracy = measured_accuracy(interpreter, x[-HELD_OUT:], labels[-HELD_OUT:])
    EMBEDDED_FOLDER.mkdir(exist_ok=True)
    (EMBEDDED_FOLDER / "digits.tflite").write_bytes(model)
    (EMBEDDED_FOLDER / "digits_labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    save_samples(x[-HELD_OUT:], labels[-HELD_OUT:])
    card = {
        "data": "digits set of scikit-learn (UCI optdigits, CC BY 4.0), 1797 pictures of 8x8 pixels",
        "held_out": f"the last {HELD_OUT} pictures",
        "held_out_accuracy_float": round(float_accuracy, 4),
        "held_out_accuracy_int8": round(int8_accuracy, 4),
        "parameters": sum(parameter.value.size for parameter in network.parameters),
        "size_bytes": len(model),
        "sha256": hashlib.sha256(model).hexdigest(),
        "inputs": [tensor_card(details) for details in interpreter.get_input_details()],
        "outputs": [tensor_card(details) for details in interpreter.get_output_details()],
    }
    (EMBEDDED_FOLDER / "digits.json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()

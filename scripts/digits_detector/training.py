"""Train the detector: scenes as the model sees them, targets of its places, losses with their gradients, Adam."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from image_model.preprocess import LETTERBOX_GREY, InputSpec, fitted, resize
from scripts.digits_detector.network import CLASSES, INPUT_SIDE, SIDE, STRIDE, Network, places
from scripts.digits_detector.scenes import Scene, SceneDrawer
from scripts.digits_model.network import Array

SEED = 11
POOL = 6_000
"""Training scenes that are drawn; each is seen several times, shifted and with another exposure."""
BATCH = 16
STEPS = 4_000
RATE = 2e-3
WARM_UP = 200
CHECKPOINT_STEPS = 100
SHIFT_MAX = 8
"""Pixels by which a scene is shifted at most."""
CORE = 0.8
"""Strides from a digit's centre within which a place answers for it, at most, in either direction."""
VISIBLE_MIN = 0.6
"""Share of a digit that a shift must leave within the picture, or no place answers for it."""
BOX_WEIGHT = 0.5
INPUT = InputSpec(INPUT_SIDE, INPUT_SIDE, 1, "uint8")


@dataclass(frozen=True)
class Seen:
    """A scene as it lies on the model's input."""

    pixels: NDArray[np.uint8]
    """Shape [128, 128]."""
    boxes: Array
    digits: NDArray[np.intp]


def seen(scene: Scene) -> Seen:
    """A scene through the product's own preprocessing."""
    source, target = (
        np.array(box, np.float32)
        for box in vars(fitted(scene.image.size, (INPUT_SIDE, INPUT_SIDE), "letterbox")).values()
    )
    scale = (target[2:] - target[:2]) / (source[2:] - source[:2])
    boxes = scene.boxes * np.tile(scale, 2) + np.tile(target[:2], 2)
    return Seen(resize(scene.image, INPUT, fit="letterbox")[..., 0], boxes.astype(np.float32), scene.digits)


def shifted(given: Seen, rng: np.random.Generator) -> tuple[Array, Seen]:
    """Ink 0 to 1 of a scene that is shifted and exposed otherwise, and what is still to be seen on it."""
    across, down = (int(by) for by in rng.integers(-SHIFT_MAX, SHIFT_MAX + 1, 2))
    padded = np.pad(given.pixels, SHIFT_MAX, constant_values=LETTERBOX_GREY)
    top, left = SHIFT_MAX + down, SHIFT_MAX + across
    pixels = padded[top : top + INPUT_SIDE, left : left + INPUT_SIDE]
    moved = given.boxes - np.array([across, down, across, down], np.float32)
    boxes = moved.clip(0, INPUT_SIDE)
    sizes, whole = (box[:, 2:] - box[:, :2] for box in (boxes, moved))
    kept = sizes.prod(axis=1) >= VISIBLE_MIN * whole.prod(axis=1)
    ink = (1 - pixels / np.float32(255)) * rng.uniform(0.85, 1.15) + rng.uniform(-0.06, 0.06)
    return np.asarray(ink.clip(0, 1), np.float32), Seen(pixels, boxes[kept], given.digits[kept])


def targets(given: Seen) -> tuple[NDArray[np.intp], Array]:
    """The class [16, 16] that each place answers for, -1 for none, and the edges [16, 16, 4] in strides.

    Where a place lies in the core of two digits, it answers for the one whose centre is nearer.
    """
    classes = np.full((SIDE, SIDE), -1, np.intp)
    edges = np.zeros((SIDE, SIDE, 4), np.float32)
    nearest = np.full((SIDE, SIDE), np.inf)
    for box, digit in zip(given.boxes, given.digits, strict=True):
        away = np.abs(places() - (box[:2] + box[2:]) / 2)
        reach = np.minimum(CORE * STRIDE, np.maximum((box[2:] - box[:2]) / 3, STRIDE / 2))
        distance = away.max(axis=-1)
        core = (away <= reach).all(axis=-1) & (distance < nearest)
        nearest[core] = distance[core]
        classes[core] = digit
        edges[core] = np.concatenate([places()[core] - box[:2], box[2:] - places()[core]], axis=1) / STRIDE
    return classes, edges


def loss_gradient(output: Array, classes: NDArray[np.intp], edges: Array) -> tuple[Array, float, float]:
    """Gradient of the loss by the output, and the mean losses of classes and of boxes.

    Classes have a cross-entropy whose negatives count by the square of how wrong they are, and whose target is how
    well the box fits (varifocal loss, Zhang and others, CVPR 2021); boxes have -log IoU (UnitBox, Yu and others, 2016)
    and the distance of their edges.
    """
    grad = np.zeros_like(output)
    positive = classes >= 0
    count = max(1, int(positive.sum()))
    overlap, box_grad = _box_gradient(output[positive][:, CLASSES:], edges[positive])
    odds = 1 / (1 + np.exp(-output[..., :CLASSES].clip(-30, 30)))
    wanted = np.zeros_like(odds)
    wanted[positive, classes[positive]] = 0.5 + 0.5 * overlap
    weight = np.where(wanted > 0, 1, 0.75 * odds**2)
    grad[..., :CLASSES] = weight * (odds - wanted) / count
    grad[positive, CLASSES:] = BOX_WEIGHT * box_grad / count
    entropy = -weight * (wanted * np.log(odds + 1e-9) + (1 - wanted) * np.log(1 - odds + 1e-9))
    return grad, float(entropy.sum() / count), float(1 - overlap.mean()) if len(overlap) else 0.0


def _box_gradient(found: Array, wanted: Array) -> tuple[Array, Array]:
    """IoU of boxes given by their edges' distances from a common place, and the gradient of their loss."""
    sides = np.maximum(found, 0.05)
    shared = np.minimum(sides, wanted)
    across, down = shared[:, 0] + shared[:, 2], shared[:, 1] + shared[:, 3]
    width, height = sides[:, 0] + sides[:, 2], sides[:, 1] + sides[:, 3]
    both = across * down
    union = width * height + (wanted[:, 0] + wanted[:, 2]) * (wanted[:, 1] + wanted[:, 3]) - both
    overlap = both / union
    shared_grad = (sides < wanted) * np.stack([down, across, down, across], axis=1)
    area_grad = np.stack([height, width, height, width], axis=1)
    by_shared = 1 / both + 1 / union
    iou_grad = area_grad / union[:, None] - shared_grad * by_shared[:, None]
    distance_grad = 0.2 * np.clip(found - wanted, -1, 1)
    return overlap, np.asarray(iou_grad * (found > 0.05) + distance_grad, np.float32)


def train(checkpoint: Path) -> Network:
    """Adam with a rate that falls along a cosine to nothing; goes on from the checkpoint if there is one."""
    network = Network(np.random.default_rng(SEED))
    first = _restore(network, checkpoint)
    if first > STEPS:
        return network
    drawer = SceneDrawer(held_out=False, seed=SEED)
    pool = [seen(drawer.draw()) for _ in range(POOL)]
    for step in range(first, STEPS + 1):
        rng = np.random.default_rng([SEED, step])
        batch = [shifted(pool[index], rng) for index in rng.integers(0, POOL, BATCH)]
        wanted = [targets(each) for _, each in batch]
        output = network.forward(np.stack([ink for ink, _ in batch])[..., None])
        grad, *losses = loss_gradient(output, *(np.stack(parts) for parts in zip(*wanted, strict=True)))
        network.backward(grad)
        _adam(network, RATE * min(1, step / WARM_UP) * 0.5 * (1 + np.cos(np.pi * step / STEPS)), step)
        if step % CHECKPOINT_STEPS == 0:
            _save(network, step, checkpoint)
            print(f"step {step} of {STEPS}: class loss {losses[0]:.3f}, box loss {losses[1]:.3f}", flush=True)
    return network


def _adam(network: Network, rate: float, step: int) -> None:
    """One step, its gradient shortened where it is unusually long."""
    length = float(np.sqrt(sum(float((parameter.grad**2).sum()) for parameter in network.parameters)))
    for parameter in network.parameters:
        parameter.grad = np.asarray(parameter.grad * min(1, 10 / max(length, 1e-9)), np.float32)
        parameter.step(rate, step)


def _save(network: Network, step: int, path: Path) -> None:
    """Weights and Adam's moments, whole or not at all."""
    arrays = {
        f"{name}{index}": getattr(parameter, name)
        for index, parameter in enumerate(network.parameters)
        for name in ("value", "first", "second")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new.npz")
    np.savez(beside, step=step, **arrays)
    beside.replace(path)


def _restore(network: Network, path: Path) -> int:
    """The step to go on with."""
    if not path.exists():
        return 1
    with np.load(path) as saved:
        for index, parameter in enumerate(network.parameters):
            parameter.value, parameter.first, parameter.second = (
                saved[f"{name}{index}"] for name in ("value", "first", "second")
            )
        return int(saved["step"]) + 1

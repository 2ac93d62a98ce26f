"""The models of `SYNTHETIC_MODELS` as bytes."""

import numpy as np

from contract.models import SYNTHETIC_SOURCE
from server.synthesis import SYNTHETIC_MODELS
from server.synthesis.quantise import calibrate, quantise
from server.tflite.architectures import SEED, mobilenet_v2, resnet20
from server.tflite.graph import Floats, Graph
from server.tflite.writer import write

CALIBRATION_FRAMES = 8
ARCHITECTURES = {"resnet20": resnet20, "mobilenet_v2": mobilenet_v2}


def synthetic_model(name: str) -> bytes:
    """Write one of them; raises KeyError for an unknown name.

    The same bytes each time on one machine. Another CPU's calibration may round int8 ranges differently.
    """
    title = SYNTHETIC_MODELS[name]
    architecture, _, dtype = name.rpartition("-")
    graph = ARCHITECTURES[architecture]()
    if dtype == "int8":
        graph = quantise(graph, calibrate(graph, calibration_frames(graph)))
    return write(graph, f"{title}; {SYNTHETIC_SOURCE}")


def calibration_frames(graph: Graph) -> list[Floats]:
    """Frames of 0 to 1: noise, and coarser patches of it, whose sums over an area vary more, as in pictures."""
    source = np.random.default_rng(SEED)
    _, height, width, channels = graph.shape(graph.source)
    frames = []
    for number in range(CALIBRATION_FRAMES):
        patch = 1 << (number % 4)
        coarse = source.random((1, height // patch, width // patch, channels), dtype=np.float32)
        frames.append(coarse.repeat(patch, axis=1).repeat(patch, axis=2))
    return frames

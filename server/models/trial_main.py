"""The throw-away process that first loads an uploaded model and runs it once.

Started as `python -P -m server.models.trial_main REPORT_FD AGENT_PID RUNTIME DELEGATES MEMORY_BYTES SOURCE`, the last
one a `ModelSource` as JSON. Writes a `TrialReport` as JSON to REPORT_FD; a crash or silence is itself the finding.
"""

import json
import math
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from image_model.postprocess import dequantise, look_like_probabilities
from server.processes.confinement import confine
from server.runtimes import open_runtime
from server.runtimes.base import Array, LoadOptions, ModelFault, ModelFiles, Tensor
from server.workers.classifier import COLOUR_CHANNELS
from server.workers.messages import ModelSource
from server.workers.sources import SourceError, read_files

CPU_SECONDS = 60
IMAGE_TYPES = ("uint8", "int8", "float32")
SCORE_TYPES = ("uint8", "int8", "float32")


@dataclass(frozen=True)
class TrialReport:
    """What one runtime found out about a model."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    not_a_classifier_because: str | None
    looks_like_probabilities: bool
    load_ms: float
    first_inference_ms: float


def examine(runtime_name: str, files: ModelFiles, *, delegates: bool) -> TrialReport:
    """Load a model and run it once on zeros; raises ModelFault."""
    runtime = open_runtime(runtime_name, delegates=delegates)
    started = time.perf_counter_ns()
    loaded_model = runtime.load(files, LoadOptions())
    loaded = time.perf_counter_ns()
    results = loaded_model.invoke(*(np.zeros(tensor.shape, tensor.dtype) for tensor in loaded_model.inputs))
    ran = time.perf_counter_ns()
    because = why_not_a_classifier(loaded_model.inputs, loaded_model.outputs)
    return TrialReport(
        inputs=loaded_model.inputs,
        outputs=loaded_model.outputs,
        not_a_classifier_because=because,
        looks_like_probabilities=because is None and _probabilities(loaded_model.outputs[0], results[0]),
        load_ms=(loaded - started) / 1e6,
        first_inference_ms=(ran - loaded) / 1e6,
    )


def why_not_a_classifier(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> str | None:
    """None when the tensors fit "one picture in, one score a class out", else what does not fit."""
    if len(inputs) != 1:
        return f"it has {len(inputs)} inputs, a classifier has one"
    source = inputs[0]
    if len(source.shape) != 4 or source.shape[0] != 1 or not {source.shape[1], source.shape[3]} & set(COLOUR_CHANNELS):
        return f"its input has shape {list(source.shape)}, a picture is [1, height, width, 1 or 3], or channels first"
    if source.dtype not in IMAGE_TYPES:
        return f"its input holds {source.dtype}, pictures are one of {', '.join(IMAGE_TYPES)}"
    if source.dtype != "float32" and not _usable(source.scale):
        return f"its input is an integer tensor with the quantisation scale {source.scale}"
    sink = outputs[0]
    if not sink.shape or sink.shape[-1] < 2 or np.prod(sink.shape) != sink.shape[-1]:
        return f"its first output has shape {list(sink.shape)}, scores are [1, classes]"
    if sink.dtype not in SCORE_TYPES:
        return f"its first output holds {sink.dtype}, scores are one of {', '.join(SCORE_TYPES)}"
    return None


def _usable(scale: float | None) -> bool:
    return scale is not None and math.isfinite(scale) and scale > 0


def _probabilities(tensor: Tensor, stored: Array) -> bool:
    return look_like_probabilities(dequantise(stored.ravel(), tensor.scale, tensor.zero_point))


def main(argv: list[str]) -> int:
    """Examine one model file and report."""
    report_fd, agent_pid, runtime_name, delegates, memory_bytes, source = argv
    confine(int(agent_pid), int(memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    try:
        files = read_files(ModelSource(**json.loads(source)))
        finding = asdict(examine(runtime_name, files, delegates=delegates == "delegates"))
    except (ModelFault, SourceError) as fault:
        finding = {"refused": str(fault)}
    except MemoryError:
        finding = {"refused": "it needs more memory than a worker has"}
    except Exception as error:  # tensors no array can have, names that are no text, ...
        finding = {"refused": f"{type(error).__name__}: {error}"}
    os.write(int(report_fd), json.dumps(finding).encode())
    os._exit(0)  # whatever the model left behind, its destructors need not run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

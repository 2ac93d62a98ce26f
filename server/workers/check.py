"""The throw-away process that first loads an uploaded model and runs it once.

Started as `python -P -m server.workers.check REPORT_FD AGENT_PID RUNTIME DELEGATES MEMORY_BYTES MODEL`. Writes a
`Report` as JSON to REPORT_FD; a crash or silence is itself the finding.
"""

import json
import math
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from image_model.postprocess import dequantise, look_like_probabilities
from server.runtimes import open_runtime
from server.runtimes.base import Array, ModelFault, Tensor
from server.workers.confinement import confine

CPU_SECONDS = 60
PICTURE_TYPES = ("uint8", "int8", "float32")
SCORE_TYPES = ("uint8", "int8", "float32")


@dataclass(frozen=True)
class Report:
    """What one runtime found out about a model."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    not_a_classifier_because: str | None
    looks_like_probabilities: bool
    load_ms: float
    first_inference_ms: float


def examine(runtime_name: str, model: bytes, *, delegates: bool) -> Report:
    """Load a model and run it once on zeros; raises ModelFault."""
    runtime = open_runtime(runtime_name, delegates=delegates)
    started = time.perf_counter_ns()
    loaded_model = runtime.load(model, threads=1)
    loaded = time.perf_counter_ns()
    results = loaded_model.invoke(*(np.zeros(tensor.shape, tensor.dtype) for tensor in loaded_model.inputs))
    ran = time.perf_counter_ns()
    because = why_not_a_classifier(loaded_model.inputs, loaded_model.outputs)
    return Report(
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
    if len(source.shape) != 4 or source.shape[0] != 1 or source.shape[3] not in (1, 3):
        return f"its input has shape {list(source.shape)}, a picture is [1, height, width, 1 or 3]"
    if source.dtype not in PICTURE_TYPES:
        return f"its input holds {source.dtype}, pictures are one of {', '.join(PICTURE_TYPES)}"
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
    report_fd, agent_pid, runtime_name, delegates, memory_bytes, path = argv
    confine(int(agent_pid), int(memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    content = Path(path).read_bytes()
    try:
        finding = asdict(examine(runtime_name, content, delegates=delegates == "delegates"))
    except ModelFault as fault:
        finding = {"refused": str(fault)}
    except MemoryError:
        finding = {"refused": "it needs more memory than a worker has"}
    except Exception as error:  # tensors no array can have, names that are no text, ...
        finding = {"refused": f"{type(error).__name__}: {error}"}
    os.write(int(report_fd), json.dumps(finding).encode())
    os._exit(0)  # whatever the model left behind, its destructors need not run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

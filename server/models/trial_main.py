"""The throw-away process that first loads an uploaded model and runs it once.

Started as `python -P -m server.models.trial_main REPORT_FD AGENT_PID RUNTIME DELEGATES MEMORY_BYTES TRIAL`, the last
one a `Trial` as JSON. Writes a `TrialReport` as JSON to REPORT_FD; a crash or silence is itself the finding.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from contract.tasks import Task
from server.models.trial_order import Trial
from server.processes.confinement import confine
from server.runtimes import open_runtime
from server.runtimes.base import LoadOptions, ModelFault, ModelFiles, Tensor
from server.tasks import classification, detection
from server.tasks.detection import Reading
from server.tasks.images import input_spec, why_no_image
from server.workers.sources import SourceError, read_files

CPU_SECONDS = 60


@dataclass(frozen=True)
class TrialReport:
    """What one runtime found out about a model."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    unfit: dict[Task, str]
    """Why the tensors do not fit some tasks."""
    detection: Reading | None
    """How boxes are read, None where there are none."""
    takes_no_image_because: str | None
    channels: int | None
    looks_like_probabilities: bool
    load_ms: float
    first_inference_ms: float


def examine(runtime_name: str, files: ModelFiles, trial: Trial, *, delegates: bool) -> TrialReport:
    """Load a model and run it once on zeros; raises ModelFault."""
    runtime = open_runtime(runtime_name, delegates=delegates)
    started = time.perf_counter_ns()
    loaded_model = runtime.load(files, LoadOptions())
    loaded = time.perf_counter_ns()
    results = loaded_model.invoke(*(np.zeros(tensor.shape, tensor.dtype) for tensor in loaded_model.inputs))
    ran = time.perf_counter_ns()
    inputs, outputs = loaded_model.inputs, loaded_model.outputs
    classes = classification.why_not(inputs, outputs)
    boxes = detection.recognised(
        inputs,
        outputs,
        results,
        model_format=files.format,
        label_count=trial.label_count,
        declared=trial.detection,
    )
    unfit = {Task.CLASSIFICATION: classes, Task.DETECTION: boxes if isinstance(boxes, str) else None}
    no_image = why_no_image(inputs, "a model of pictures")
    return TrialReport(
        inputs=inputs,
        outputs=outputs,
        unfit={task: because for task, because in unfit.items() if because is not None},
        detection=None if isinstance(boxes, str) else boxes,
        takes_no_image_because=no_image,
        channels=input_spec(inputs[0]).channels if no_image is None else None,
        looks_like_probabilities=classes is None and classification.gives_probabilities(outputs, results),
        load_ms=(loaded - started) / 1e6,
        first_inference_ms=(ran - loaded) / 1e6,
    )


def main(argv: list[str]) -> int:
    """Examine one model file and report."""
    report_fd, agent_pid, runtime_name, delegates, memory_bytes, document = argv
    confine(int(agent_pid), int(memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    try:
        trial = Trial.from_wire(json.loads(document))
        finding = asdict(examine(runtime_name, read_files(trial.source), trial, delegates=delegates == "delegates"))
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

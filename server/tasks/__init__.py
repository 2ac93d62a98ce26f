"""What models are for: one file a task, each with the tensors it accepts, how a picture is put in, what is read out.

Everything here runs beside a runtime, in workers and jobs, never in the process that answers HTTP.
"""

from collections.abc import Mapping, Sequence

from contract.tasks import Task
from server.runtimes.base import Tensor
from server.tasks import classification, detection
from server.tasks.base import ImageReader
from server.tasks.images import ImageInput


def usable_threads(task: Task, reading: Mapping[str, str], threads: int) -> int:
    """How many of the threads that a model may have it can use without giving wrong answers."""
    return detection.usable_threads(reading, threads) if task is Task.DETECTION else threads


def open_reader(
    task: Task, reading: Mapping[str, str], image: ImageInput | None, outputs: Sequence[Tensor]
) -> ImageReader | None:
    """The task on one loaded model; None for a task or a model without pictures."""
    if image is None:
        return None
    if task is Task.CLASSIFICATION:
        return classification.ClassificationReader(image, outputs, logits=classification.gives_logits(reading))
    if task is Task.DETECTION:
        return detection.DetectionReader(image, outputs, detection.Reading.of(reading))
    return None

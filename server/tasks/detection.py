"""Detection: one picture in, boxes with classes and scores out, in pixels of the picture's file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.codes import ErrorCode
from contract.tasks import BoxCoordinates, DetectionForm
from image_model.detection import OutputSpec, Placement, guess_coordinates, place, read, recognise, suppress
from image_model.postprocess import Scores, dequantise
from image_model.preprocess import Decoded
from server.runtimes.base import Array, Tensor
from server.tasks.base import Found, OrderFailed, now
from server.tasks.images import ImageInput, input_spec, why_no_image


@dataclass(frozen=True)
class Reading:
    """How a detector's outputs are read."""

    form: DetectionForm
    coordinates: BoxCoordinates
    class_count: int | None
    """Classes of a YOLO head; None for forms that do not tell."""

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "Reading":
        """As a `ModelSpec` has it."""
        classes = fields.get("class_count")
        form, coordinates = DetectionForm(fields["form"]), BoxCoordinates(fields["coordinates"])
        return cls(form, coordinates, int(classes) if classes else None)


def usable_threads(reading: Mapping[str, str], threads: int) -> int:
    """One thread for TFLite_Detection_PostProcess: on two, LiteRT 2.3 loses classes with `use_regular_nms`."""
    return 1 if reading.get("form") == DetectionForm.TFLITE_POSTPROCESS else threads


class DetectionReader:
    """Finds the objects of one loaded model in a picture."""

    def __init__(self, image: ImageInput, outputs: Sequence[Tensor], reading: Reading) -> None:
        self._image = image
        self._outputs = outputs
        self._names = [output.name for output in outputs]
        self._reading = reading
        self._size = (image.spec.width, image.spec.height)

    def tensor(self, decoded: Decoded, options: dict[str, Any]) -> Array:
        """The input tensor."""
        return self._image.tensor(decoded)

    def read(self, outputs: Sequence[Array], decoded: Decoded, options: dict[str, Any]) -> Found:
        """Indices, scores and boxes of what was found, best first; raises OrderFailed for outputs that make no sense.

        Options: `min_score`, `iou_threshold`, `max_detections`.
        """
        reading = self._reading
        try:
            found = read(
                reading.form,
                _real(self._outputs, outputs),
                input_size=self._size,
                min_score=options["min_score"],
                coordinates=reading.coordinates,
                names=self._names,
                class_count=reading.class_count,
            )
        except ValueError as error:
            raise OrderFailed(ErrorCode.INFERENCE_FAILED, str(error)) from error
        suppression_ns = None
        if not reading.form.suppressed:
            started = now()
            found = suppress(found, options["iou_threshold"], options["max_detections"])
            suppression_ns = now() - started
        found = place(found, Placement.of(decoded, self._size, self._image.fit))
        best = found.take(np.arange(min(len(found), options["max_detections"])))
        result = {"indices": best.classes.tolist(), "scores": best.scores.tolist(), "boxes": best.boxes.tolist()}
        return Found(result, suppression_ns)


def _real(tensors: Sequence[Tensor], stored: Sequence[Array]) -> list[Scores]:
    return [dequantise(each, tensor.scale, tensor.zero_point) for tensor, each in zip(tensors, stored, strict=True)]


def recognised(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    stored: Sequence[Array],
    *,
    model_format: str,
    label_count: int | None,
    declared: Mapping[str, str],
) -> Reading | str:
    """How the outputs are read, as declared or as the signature tells; or why they are no detector's.

    `stored` is what one run gave, which must be readable that way. `declared` may have `form` and `coordinates`.
    """
    if (because := why_no_image(inputs, "a detector")) is not None:
        return because
    source = input_spec(inputs[0])
    size = (source.width, source.height)
    specs = [OutputSpec(each.name, each.shape, each.dtype, each.scale, each.zero_point) for each in outputs]
    found = recognise(size, specs, label_count)
    form = DetectionForm(declared["form"]) if "form" in declared else found.form
    if form is None:
        return found.reason
    coordinates = declared.get("coordinates") or guess_coordinates(form, model_format, specs)[0]
    reading = Reading(form, BoxCoordinates(coordinates), found.class_count)
    try:
        read(
            form,
            _real(outputs, stored),
            input_size=size,
            min_score=0.0,
            coordinates=reading.coordinates,
            names=[each.name for each in outputs],
            class_count=reading.class_count,
        )
    except ValueError as error:
        return f"read as {form}: {error}"
    return reading

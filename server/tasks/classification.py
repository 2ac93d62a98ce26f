"""Classification: one picture in, one score a class out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contract.codes import ErrorCode
from image_model.postprocess import Scores, dequantise, look_like_probabilities, softmax, top_k
from image_model.preprocess import Decoded, legacy_pixel_table
from server.runtimes.base import Array, Tensor
from server.tasks.base import Found, OrderFailed
from server.tasks.images import ImageInput, why_no_image

SCORE_TYPES = ("uint8", "int8", "float32")


class ClassificationReader:
    """Ranks the classes of one loaded model."""

    def __init__(self, image: ImageInput, outputs: Sequence[Tensor], *, logits: bool) -> None:
        self._image = image
        self._output = outputs[0]
        self._logits = logits

    def tensor(self, decoded: Decoded, options: dict[str, Any]) -> Array:
        """The input tensor; with the option `legacy` as the CHI@Edge teaching notebook fills it. Raises OrderFailed."""
        return self._image.tensor(decoded, self._legacy_table() if options["legacy"] else None)

    def read(self, outputs: Sequence[Array], decoded: Decoded, options: dict[str, Any]) -> Found:
        """The `top_k` best classes, as indices and scores; raises OrderFailed for outputs that are no numbers."""
        scores = self.scores(outputs)
        best = top_k(scores, options["top_k"])
        return Found({"indices": best.tolist(), "scores": scores[best].tolist(), "logits": self._logits})

    def scores(self, outputs: Sequence[Array]) -> Scores:
        """Probabilities of all classes; raises OrderFailed when the model gave no numbers."""
        real = dequantise(outputs[0].ravel(), self._output.scale, self._output.zero_point)
        if not np.isfinite(real).all():
            raise OrderFailed(ErrorCode.INFERENCE_FAILED, "the model's output holds NaN or infinite values")
        return softmax(real) if self._logits else real

    def _legacy_table(self) -> Array:
        try:
            return legacy_pixel_table(self._image.spec)
        except ValueError as error:
            raise OrderFailed(ErrorCode.INVALID_REQUEST, f"quant=legacy_sample: {error}") from error


def gives_logits(reading: Mapping[str, str]) -> bool:
    """Whether the outputs are logits rather than probabilities, as a `ModelSpec` has it."""
    return reading["outputs"] == "logits"


def why_not(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> str | None:
    """None when the tensors fit "one picture in, one score a class out", else what does not fit."""
    if (because := why_no_image(inputs, "a classifier")) is not None:
        return because
    sink = outputs[0]
    if not sink.shape or sink.shape[-1] < 2 or np.prod(sink.shape) != sink.shape[-1]:
        return f"its first output has shape {list(sink.shape)}, scores are [1, classes]"
    if sink.dtype not in SCORE_TYPES:
        return f"its first output holds {sink.dtype}, scores are one of {', '.join(SCORE_TYPES)}"
    return None


def gives_probabilities(outputs: Sequence[Tensor], stored: Sequence[Array]) -> bool:
    """Whether the outputs of one run look like probabilities rather than logits."""
    sink = outputs[0]
    return look_like_probabilities(dequantise(stored[0].ravel(), sink.scale, sink.zero_point))

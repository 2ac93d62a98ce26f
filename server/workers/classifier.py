"""The work itself, in the worker process: bytes of a picture to ranked classes, each stage timed."""

import io
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contract.codes import ErrorCode
from image_model.postprocess import dequantise, softmax, top_k
from image_model.preprocess import (
    Decoded,
    ImageError,
    InputSpec,
    NotAnImage,
    TooManyPixels,
    decode,
    is_identity,
    legacy_pixel_table,
    pixel_table,
    resize,
    to_tensor,
)
from server.runtimes.base import Array, LoadedModel, LoadOptions, ModelFault, Runtime, Tensor
from server.runtimes.fallback import load_on_first
from server.workers.messages import Classified, Classify, ModelSpec
from server.workers.sources import SourceError, read_files

MODELS_KEPT = 4
"""Loaded models a worker keeps, least recently used dropped first; each pair of model and threads counts."""

COLOUR_CHANNELS = (1, 3)

now = time.perf_counter_ns


class OrderFailed(Exception):
    """An order that cannot be executed; the worker itself is well."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True)
class ReadyModel:
    """A loaded model with everything computed that does not depend on the picture."""

    loaded: LoadedModel
    spec: ModelSpec
    input: InputSpec
    table: Array
    identity: bool
    channels_first: bool
    output: Tensor

    def tensor(self, decoded: Decoded, *, legacy: bool) -> Array:
        """The input tensor of a decoded picture."""
        pixels = resize(decoded.image, self.input, crop=self.spec.fit == "crop")
        if legacy:
            return to_tensor(pixels, _legacy_table(self.input))
        if self.channels_first:
            return in_layout(to_tensor(pixels, self.table), self.loaded.inputs[0])
        return pixels[np.newaxis] if self.identity else to_tensor(pixels, self.table)

    def scores(self, stored: Array) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """Probabilities of all classes; raises OrderFailed when the model gave no numbers."""
        real = dequantise(stored.ravel(), self.output.scale, self.output.zero_point)
        if not np.isfinite(real).all():
            raise OrderFailed(ErrorCode.INFERENCE_FAILED, "the model's output holds NaN or infinite values")
        return softmax(real) if self.spec.logits else real


class Classifier:
    """Classifies pictures on one runtime and keeps the models it used last."""

    def __init__(self, runtime: Runtime, devices: Sequence[str]) -> None:
        self._runtime = runtime
        self._devices = devices
        self._models: OrderedDict[tuple[str, int], ReadyModel] = OrderedDict()

    def classify(self, order: Classify, image: memoryview) -> Classified:
        """Decode, preprocess, run and rank one picture; raises OrderFailed."""
        started = loaded = now()
        model = self._ready(order.model, order.threads)
        if model is None:
            model = self.prepare(order.model, order.threads)
            loaded = now()
        decoded = _decode(order, image, model.input)
        decoded_at = now()
        tensor = model.tensor(decoded, legacy=order.legacy)
        preprocessed = now()
        stored = _run(model.loaded, tensor)
        inferred = now()
        scores = model.scores(stored)
        best = top_k(scores, order.top_k)
        return Classified(
            id=order.id,
            indices=best.tolist(),
            scores=scores[best].tolist(),
            logits=model.spec.logits,
            threads=order.threads,
            device=model.loaded.execution.device,
            delegate=model.loaded.delegate,
            image=_image(decoded),
            started_ns=started,
            loaded_ns=loaded,
            decoded_ns=decoded_at,
            preprocessed_ns=preprocessed,
            inferred_ns=inferred,
            done_ns=now(),
        )

    def prepare(self, spec: ModelSpec, threads: int) -> ReadyModel:
        """Load a model unless it is there; raises OrderFailed."""
        ready = self._ready(spec, threads)
        if ready is None:
            while len(self._models) >= MODELS_KEPT:
                self._models.popitem(last=False)[1].loaded.close()
            ready = self._models[spec.digest, threads] = self._load(spec, threads)
        return ready

    def _ready(self, spec: ModelSpec, threads: int) -> ReadyModel | None:
        ready = self._models.get((spec.digest, threads))
        if ready is None or ready.spec != spec:
            return None
        self._models.move_to_end((spec.digest, threads))
        return ready

    def _load(self, spec: ModelSpec, threads: int) -> ReadyModel:
        try:
            loaded = load_on_first(self._runtime, read_files(spec.source), LoadOptions(threads=threads), self._devices)
        except SourceError as error:
            raise OrderFailed(error.code, str(error)) from error
        except ModelFault as fault:
            detail = f"{self._runtime.name} {self._runtime.version}: {fault}"
            raise OrderFailed(ErrorCode.MODEL_REJECTED, detail) from fault
        source = input_spec(loaded.inputs[0])
        table = pixel_table(source, spec.input_range)
        first = channels_first(loaded.inputs[0])
        return ReadyModel(loaded, spec, source, table, is_identity(table), first, loaded.outputs[0])


def input_spec(tensor: Tensor) -> InputSpec:
    """The picture that an input tensor of shape [1, height, width, channels] or [1, channels, height, width] takes."""
    _, height, width, channels = _moved(tensor.shape) if channels_first(tensor) else tensor.shape
    return InputSpec(width, height, channels, tensor.dtype, tensor.scale, tensor.zero_point)


def channels_first(tensor: Tensor) -> bool:
    """Whether a picture's channels come before its rows, as ONNX models have it."""
    return tensor.shape[3] not in COLOUR_CHANNELS and tensor.shape[1] in COLOUR_CHANNELS


def in_layout(pixels: Array, tensor: Tensor) -> Array:
    """An array [batch, height, width, channels] as a tensor wants it."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) if channels_first(tensor) else pixels


def _moved(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    batch, channels, height, width = shape
    return batch, height, width, channels


def _decode(order: Classify, image: memoryview, source: InputSpec) -> Decoded:
    try:
        return decode(io.BytesIO(image), (source.width, source.height), exact=order.exact, max_pixels=order.max_pixels)
    except ImageError as error:
        codes = {NotAnImage: ErrorCode.NOT_AN_IMAGE, TooManyPixels: ErrorCode.TOO_MANY_PIXELS}
        raise OrderFailed(codes.get(type(error), ErrorCode.TRUNCATED_IMAGE), str(error)) from error


def _run(loaded: LoadedModel, tensor: Array) -> Array:
    try:
        return loaded.invoke(tensor)[0]
    except ModelFault as fault:
        raise OrderFailed(ErrorCode.INFERENCE_FAILED, str(fault)) from fault


def _legacy_table(source: InputSpec) -> Array:
    try:
        return legacy_pixel_table(source)
    except ValueError as error:
        raise OrderFailed(ErrorCode.INVALID_REQUEST, f"quant=legacy_sample: {error}") from error


def _image(decoded: Decoded) -> dict[str, object]:
    return {
        "format": decoded.format,
        "width": decoded.size[0],
        "height": decoded.size[1],
        "decoded_width": decoded.image.width,
        "decoded_height": decoded.image.height,
        "decode": "reduced" if decoded.reduced else "full",
        "exif_orientation": decoded.orientation,
    }

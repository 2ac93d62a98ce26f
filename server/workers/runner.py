"""The work itself, in the worker process: orders to answers, each stage timed."""

import time
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.codes import ErrorCode
from image_model.preprocess import Decoded
from server.runtimes.base import Array, LoadedModel, LoadOptions, ModelFault, ModelFiles, Runtime
from server.runtimes.batching import Frame, Freed, Reference, load_batched
from server.runtimes.fallback import load_on_first
from server.tasks import open_reader, usable_threads
from server.tasks.base import ImageReader, OrderFailed
from server.tasks.images import ImageInput
from server.workers.messages import ModelSpec, Predict, Predicted, Ran, Work
from server.workers.sources import SourceError, read_files

MODELS_KEPT = 4
"""Loaded models a worker keeps, least recently used dropped first; each setting of threads counts."""

BATCHED_KEPT = 2
"""Models for batches that it keeps besides: whoever sends batches of every size drives out no model but these."""

UNBATCHED_KEPT = 64
"""Models of which a worker remembers that they take no batch."""

now = time.perf_counter_ns


@dataclass(frozen=True)
class Setting:
    """How a model is loaded, besides what it is."""

    threads: int
    batch: int = 1

    @classmethod
    def of(cls, spec: ModelSpec, threads: int) -> "Setting":
        """The setting for a model that may have so many threads."""
        return cls(usable_threads(spec.task, spec.reading, threads))


@dataclass(frozen=True)
class ReadyModel:
    """A loaded model with everything computed that does not depend on what it is given."""

    loaded: LoadedModel
    spec: ModelSpec
    setting: Setting
    image: ImageInput | None
    reader: ImageReader | None
    """None for tasks that take no picture."""

    @property
    def ran(self) -> Ran:
        """How it runs."""
        return Ran(self.setting.threads, self.loaded.execution.device, self.loaded.delegate)


class Runner:
    """Executes orders on one runtime and keeps the models it used last."""

    def __init__(self, runtime: Runtime, devices: Sequence[str]) -> None:
        self._runtime = runtime
        self._devices = devices
        self._models: OrderedDict[tuple[str, Setting], ReadyModel] = OrderedDict()
        self._last: tuple[ModelSpec, int, ReadyModel] | None = None
        """Spec, threads and model of the order before, which most orders repeat; None since another was loaded."""
        self._unbatched: dict[str, None] = {}
        """Digests of models whose graph takes no batch, oldest first."""
        self._files: weakref.WeakValueDictionary[str, ModelFiles] = weakref.WeakValueDictionary()
        """By digest, files that a loaded model holds: loaded with other threads, it holds the same."""

    def predict(self, order: Predict, image: memoryview) -> Predicted:
        """Decode, preprocess, run and read one picture; raises OrderFailed."""
        started = now()
        model, loaded = self.for_order(order, started)
        if model.image is None or model.reader is None:
            raise OrderFailed(ErrorCode.TAKES_NO_IMAGE, f"its task is {order.model.task}")
        decoded = model.image.decode(image, headroom=order.headroom, max_pixels=order.max_pixels)
        decoded_at = now()
        tensor = model.reader.tensor(decoded, order.options)
        preprocessed = now()
        outputs = invoke(model.loaded, [tensor])
        inferred = now()
        found = model.reader.read(outputs, decoded, order.options)
        return Predicted(
            id=order.id,
            result=found.result,
            ran=model.ran,
            image=_image(decoded),
            started_ns=started,
            loaded_ns=loaded,
            decoded_ns=decoded_at,
            preprocessed_ns=preprocessed,
            inferred_ns=inferred,
            suppression_ns=found.suppression_ns,
            done_ns=now(),
        )

    def for_order(self, order: Work, started_ns: int) -> tuple[ReadyModel, int]:
        """The model of an order that was begun with, and when it was there: at once unless it had to be loaded.

        Raises OrderFailed.
        """
        last = self._last
        if last is not None and last[0] is order.model and last[1] == order.threads:
            return last[2], started_ns
        setting = Setting.of(order.model, order.threads)
        ready = self.ready(order.model, setting)
        model, loaded_ns = (ready, started_ns) if ready is not None else (self.load(order.model, setting), now())
        self._last = order.model, order.threads, model
        return model, loaded_ns

    def load(self, spec: ModelSpec, setting: Setting) -> ReadyModel:
        """Load a model unless it is there; raises OrderFailed."""
        return self.ready(spec, setting) or self._keep(self._load(spec, setting))

    def _keep(self, ready: ReadyModel) -> ReadyModel:
        self._last = None
        for_batches = ready.setting.batch > 1
        kin = [key for key in self._models if (key[1].batch > 1) == for_batches]
        kept = BATCHED_KEPT if for_batches else MODELS_KEPT
        for key in kin[: max(0, len(kin) + 1 - kept)]:
            self._models.pop(key).loaded.close()
        self._models[ready.spec.digest, ready.setting] = ready
        return ready

    def batched(self, single: ReadyModel, frame: Frame, batch: int) -> ReadyModel | None:
        """A model for batches of that size, None where the graph takes none; held against one frame's outputs.

        Raises OrderFailed.
        """
        spec, setting = single.spec, Setting(single.setting.threads, batch)
        if spec.digest in self._unbatched:
            return None
        if (ready := self.ready(spec, setting)) is not None:
            return ready
        reference = Reference(frame, invoke(single.loaded, frame))
        options = LoadOptions(threads=setting.threads, batch=batch, device=single.loaded.execution.device)
        found = load_batched(self._runtime, self._read(spec), options, reference)
        if isinstance(found, str):
            self._unbatched[spec.digest] = None
            while len(self._unbatched) > UNBATCHED_KEPT:
                del self._unbatched[next(iter(self._unbatched))]
            return None
        return self._keep(ReadyModel(found.model if isinstance(found, Freed) else found, spec, setting, None, None))

    def ready(self, spec: ModelSpec, setting: Setting) -> ReadyModel | None:
        """A model that is loaded already, None when it is not; it counts as used."""
        ready = self._models.get((spec.digest, setting))
        if ready is None or ready.spec.source != spec.source:
            return None
        if ready.spec != spec:  # the same file, declared anew: only what is made of it changes
            ready = self._models[spec.digest, setting] = _ready(ready.loaded, spec, setting)
        self._models.move_to_end((spec.digest, setting))
        return ready

    def _load(self, spec: ModelSpec, setting: Setting) -> ReadyModel:
        try:
            loaded = load_on_first(self._runtime, self._read(spec), LoadOptions(threads=setting.threads), self._devices)
        except ModelFault as fault:
            detail = f"{self._runtime.name} {self._runtime.version}: {fault}"
            raise OrderFailed(ErrorCode.MODEL_REJECTED, detail) from fault
        return _ready(loaded, spec, setting)

    def _read(self, spec: ModelSpec) -> ModelFiles:
        files = self._files.get(spec.digest)
        if files is None or files.path != Path(spec.source.path):
            try:
                files = self._files[spec.digest] = read_files(spec.source)
            except SourceError as error:
                raise OrderFailed(error.code, str(error)) from error
        return files


def _ready(loaded: LoadedModel, spec: ModelSpec, setting: Setting) -> ReadyModel:
    image = ImageInput(loaded.inputs[0], spec.image.input_range, spec.image.fit) if spec.image else None
    reader = open_reader(spec.task, spec.reading, image, loaded.outputs)
    return ReadyModel(loaded, spec, setting, image, reader)


def invoke(loaded: LoadedModel, arrays: Sequence[Array]) -> Sequence[Array]:
    """Run a model once; raises OrderFailed."""
    try:
        return loaded.invoke(*arrays)
    except ModelFault as fault:
        raise OrderFailed(ErrorCode.INFERENCE_FAILED, str(fault)) from fault


def _image(decoded: Decoded) -> dict[str, object]:
    return {
        "format": decoded.format,
        "width": decoded.size[0],
        "height": decoded.size[1],
        "decoded_width": decoded.image.width,
        "decoded_height": decoded.image.height,
        "decode": ("coarse" if decoded.coarse else "reduced") if decoded.reduced else "full",
        "exif_orientation": decoded.orientation,
    }

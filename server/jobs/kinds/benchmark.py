"""Benchmarks: how fast a model runs, with everything apart that takes time."""

import contextlib
from pathlib import Path

from contract.classify import Prediction
from contract.devices import Selection
from contract.jobs import BenchmarkRequest, Progress
from contract.results import BenchmarkResult
from contract.specs import DEFAULT_ITERATIONS, BenchmarkSpec, Hint, ImageInput, RandomInput
from server.jobs.kinds.base import Beginning, Kind, Measured, Places, Subject, runs_so_far
from server.jobs.kinds.bounds import bounds_here, require_memory, require_threads
from server.jobs.kinds.devices import choose_devices
from server.jobs.kinds.inputs import input_path, keep_inputs
from server.jobs.record.events import EngineFacts
from server.jobs.record.journal import Journal
from server.jobs.record.orders import BenchmarkOrder, DeviceOrder
from server.models.stored_model import StoredModel
from server.resources import allowed_resources
from server.storage.trees import Folder
from server.validity.verdict import judge

CACHE_NAME = "compiled"


class BenchmarkKind(Kind[BenchmarkRequest]):
    """Measures a model."""

    def accept(self, request: BenchmarkRequest, record: Path) -> None:
        """Raises AgentError.

        UNKNOWN_MODEL, UNKNOWN_BLOB, TAKES_NO_IMAGE, RUNTIME_UNAVAILABLE, DEVICE_UNAVAILABLE, JOB_TOO_LARGE.
        """
        spec, registry = request.spec, self._means.registry
        model = registry.find(spec.model)
        choose_devices(self._means, model, spec)
        _bounded(spec, model)
        if isinstance(spec.input, ImageInput):
            model.require_image()
            keep_inputs(registry, spec.input.digests, record)

    def begin(self, request: BenchmarkRequest, places: Places) -> Beginning:
        """What to measure, with all that was left to the agent chosen."""
        spec, pools = request.spec, self._means.pools
        model = self._means.registry.find(spec.model)
        choice = choose_devices(self._means, model, spec)
        threads, streams, memory_bytes = _bounded(spec, model)
        images = spec.input.digests if isinstance(spec.input, ImageInput) else []
        order = BenchmarkOrder(
            model=model.spec,
            candidates=[
                DeviceOrder(each.runtime, each.device, pools.uses_delegates(each.runtime)) for each in choice.candidates
            ],
            precision=spec.precision,
            hint=spec.hint,
            cache=str(self._cache(model)) if spec.model_cache else None,
            threads=threads,
            streams=streams,
            batch=spec.batch,
            iterations=_iterations(spec),
            duration_s=spec.duration_s,
            warm_up_iterations=spec.warm_up_iterations,
            window_s=spec.window_s,
            seed=spec.input.seed if isinstance(spec.input, RandomInput) else 0,
            images=[str(input_path(places.record, digest)) for digest in images],
            max_pixels=self._means.settings.max_image_pixels,
            memory_bytes=memory_bytes,
        )
        subject = Subject(
            model=model.description.name,
            model_digest=model.description.digest,
            runtime=choice.candidates[-1].runtime,
            threads=threads,
            streams=streams,
            selection=Selection(
                requested=spec.device, reason=choice.reason, rejected=list(choice.rejected), events=[], iterations={}
            ),
        )
        return Beginning(order, subject)

    def result(self, request: BenchmarkRequest, measured: Measured) -> BenchmarkResult | None:
        """The result, None when it was cut off before the model was loaded."""
        journal, subject, spec = measured.journal, measured.subject, request.spec
        loaded = journal.loaded
        if subject is None or loaded is None or loaded.engine is None:
            return None
        engine = journal.ran_on.engine if journal.ran_on else loaded.engine
        iterations, duration_s = journal.iterations, journal.duration_s()
        frames = iterations * spec.batch
        return BenchmarkResult(
            complete=measured.complete,
            spec=spec,
            model=subject.model,
            model_digest=subject.model_digest,
            runtime=engine.runtime,
            runtime_version=engine.runtime_version,
            device=_devices(journal, engine),
            selection=_selection(subject, journal),
            precision=engine.precision,
            loaded_from_cache=engine.loaded_from_cache,
            delegate=engine.delegate,
            threads=subject.threads,
            streams=subject.streams,
            batch=spec.batch,
            batch_mode=engine.batch_mode,
            batch_detail=engine.batch_detail,
            load_ms=loaded.load_ms,
            first_inference_ms=loaded.first_inference_ms,
            first_inference_latency_ms=loaded.load_ms + loaded.first_inference_ms,
            warm_up_ms=journal.warm_up_ms,
            iterations=iterations,
            frames=frames,
            duration_s=duration_s,
            fps=frames / duration_s if duration_s else None,
            latency=measured.latency(),
            samples_ms=journal.samples_ms,
            windows=journal.windows,
            predictions=self._predictions(subject, loaded.predictions),
            probe=journal.probe,
            conditions=measured.conditions_with_temperatures(),
            validity=judge(measured.telemetry, journal.probe, samples_ms=journal.samples_ms, windows=journal.windows),
        )

    def progress(self, request: BenchmarkRequest, journal: Journal, elapsed_s: float) -> Progress:
        """The iterations of the timed phase, or its seconds where that is what was asked for."""
        progress = runs_so_far(journal, request.spec.iterations or DEFAULT_ITERATIONS)
        if request.spec.duration_s is not None:
            progress.unit, progress.done, progress.total = "seconds", journal.duration_s(), request.spec.duration_s
        return progress

    def cooldown_s(self, request: BenchmarkRequest) -> float:
        """As it was asked for."""
        return request.spec.cooldown_s

    def _cache(self, model: StoredModel) -> Path:
        """Where runtimes keep a model compiled; what they kept of models that are gone is removed."""
        folder = self._means.settings.data / CACHE_NAME
        held = {_key(each.description.digest) for each in self._means.registry.store}
        with contextlib.suppress(FileNotFoundError), Folder.at(folder) as cache:
            for name in cache.names():
                if name not in held:
                    cache.remove(name)
        return folder / _key(model.description.digest)

    def _predictions(self, subject: Subject, best: list[tuple[int, float]]) -> list[Prediction]:
        """Classes with their names, where the model that was measured is still there."""
        model = self._means.registry.store.find(subject.model)
        labels = dict(model.labels) if model and model.description.digest == subject.model_digest else {}
        return [Prediction(index=index, label=labels.get(index), score=score) for index, score in best]


def threads_and_streams(spec: BenchmarkSpec, cores: int) -> tuple[int, int]:
    """Threads of one inference, and inferences at a time: as asked, else as the hint means it.

    Latency: one inference on all cores. Throughput: as many at a time as the given threads leave cores for. No hint:
    one inference on one thread.
    """
    if spec.hint is Hint.LATENCY:
        return spec.threads or cores, spec.streams or 1
    if spec.hint is Hint.THROUGHPUT:
        threads = spec.threads or 1
        return threads, spec.streams or max(1, cores // threads)
    return spec.threads or 1, spec.streams or 1


def _iterations(spec: BenchmarkSpec) -> int | None:
    unlimited = spec.iterations is None and spec.duration_s is None
    return DEFAULT_ITERATIONS if unlimited else spec.iterations


def _bounded(spec: BenchmarkSpec, model: StoredModel) -> tuple[int, int, int | None]:
    """Threads, streams and the limit on memory of a benchmark; raises AgentError JOB_TOO_LARGE."""
    bounds = bounds_here()
    threads, streams = threads_and_streams(spec, allowed_resources().whole_cpus)
    require_threads(threads, streams, bounds)
    require_memory(spec, streams, model.description.inputs, model.description.size_bytes, bounds)
    return threads, streams, bounds.limit_bytes(threads * streams)


def _selection(subject: Subject, journal: Journal) -> Selection | None:
    if subject.selection is None:
        return None
    iterations = journal.ran_on.iterations if journal.ran_on else {}
    return subject.selection.model_copy(update={"events": journal.devices, "iterations": iterations})


def _devices(journal: Journal, engine: EngineFacts) -> str:
    """What ran the timed iterations: where engines took turns, all of them in the order of their use."""
    turns = dict.fromkeys(
        name.split(" ", 1)[1] for name in (journal.ran_on.iterations if journal.ran_on else {}) if " " in name
    )
    return ",".join(turns) if len(turns) > 1 else engine.device


def _key(digest: str) -> str:
    return digest.removeprefix("sha256:")[:32]

"""From what was asked to what is done: model, runtime, threads and streams found, files at hand."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from contract.codes import ErrorCode
from contract.devices import Selection
from contract.jobs import AnyRequest, CommandRequest
from contract.specs import (
    DEFAULT_ITERATIONS,
    BenchmarkSpec,
    Hint,
    Kernels,
    PictureInput,
    ProfileMethod,
    ProfileSpec,
    RandomInput,
)
from server.errors import AgentError
from server.jobs.bounds import bounds_here, require_memory, require_threads
from server.jobs.folders import INPUTS_NAME, OUTPUT_NAME, WORK_NAME
from server.jobs.order import BenchmarkOrder, CommandOrder, DeviceOrder
from server.jobs.results import Subject
from server.models.registry import ModelRegistry
from server.models.stored_model import StoredModel
from server.profilers.order import ProfileOrder
from server.resources import allowed_resources
from server.runtimes import KNOWN, profilers_of
from server.runtimes.selection import CPU, Candidate, Choice, NoDevice, choose
from server.settings import Settings
from server.storage.trees import Folder
from server.workers.pools import Pools

CACHE_NAME = "compiled"


class Planner:
    """Resolves requests against the models and runtimes of this agent."""

    def __init__(self, settings: Settings, registry: ModelRegistry, pools: Pools) -> None:
        self._settings = settings
        self._registry = registry
        self._pools = pools

    def accept(self, request: AnyRequest, folder: Path) -> None:
        """Check that a request can be done here, and keep the files it needs in the job's folder.

        Raises AgentError: COMMANDS_NOT_ALLOWED, UNKNOWN_MODEL, UNKNOWN_BLOB, NOT_A_CLASSIFIER,
        RUNTIME_UNAVAILABLE, DEVICE_UNAVAILABLE, JOB_TOO_LARGE.
        """
        if isinstance(request, CommandRequest):
            if not self._settings.allow_commands:
                raise AgentError(ErrorCode.COMMANDS_NOT_ALLOWED, "this agent was started without allowing commands")
            self._keep([request.spec.bundle] if request.spec.bundle else [], folder)
            return
        spec = request.spec
        model = self._registry.find(spec.model)
        if isinstance(spec, ProfileSpec):
            require_threads(spec.threads, 1, bounds_here())
            _require_method(spec.method, self._choose(model, spec).candidates[0].runtime)
            return
        self._choose(model, spec)
        _bounded(spec, model)
        if isinstance(spec.input, PictureInput):
            _ = model.spec  # raises when it takes no picture
            self._keep(spec.input.digests, folder)

    def benchmark(self, spec: BenchmarkSpec, folder: Path) -> tuple[BenchmarkOrder, Subject]:
        """What to measure; raises AgentError when it is not there any more."""
        model = self._registry.find(spec.model)
        choice = self._choose(model, spec)
        threads, streams, memory_bytes = _bounded(spec, model)
        pictures = spec.input.digests if isinstance(spec.input, PictureInput) else []
        unlimited = spec.iterations is None and spec.duration_s is None
        order = BenchmarkOrder(
            model=model.source,
            classifier=model.spec if model.description.classifier else None,
            candidates=[
                DeviceOrder(each.runtime, each.device, self._pools.uses_delegates(each.runtime))
                for each in choice.candidates
            ],
            precision=spec.precision,
            hint=spec.hint,
            cache=str(self._cache(model)) if spec.model_cache else None,
            threads=threads,
            streams=streams,
            batch=spec.batch,
            iterations=DEFAULT_ITERATIONS if unlimited else spec.iterations,
            duration_s=spec.duration_s,
            warm_up_iterations=spec.warm_up_iterations,
            window_s=spec.window_s,
            seed=spec.input.seed if isinstance(spec.input, RandomInput) else 0,
            pictures=[str(_kept(folder, digest)) for digest in pictures],
            max_pixels=self._settings.max_image_pixels,
            memory_bytes=memory_bytes,
        )
        selection = Selection(
            requested=spec.device, reason=choice.reason, rejected=list(choice.rejected), events=[], iterations={}
        )
        description, runtime = model.description, choice.candidates[-1].runtime
        subject = Subject(description.name, description.digest, runtime, threads, streams)
        return order, replace(subject, selection=selection.model_dump(mode="json"))

    def profile(self, spec: ProfileSpec) -> tuple[ProfileOrder, Subject]:
        """Whose operators to time; raises AgentError when it is not there any more."""
        model = self._registry.find(spec.model)
        best = self._choose(model, spec).candidates[0]
        runtime = best.runtime
        order = ProfileOrder(
            model=model.source,
            runtime=runtime,
            device=best.device,
            precision=spec.precision,
            method=spec.method,
            builtin=spec.kernels is Kernels.BUILTIN or not self._pools.uses_delegates(runtime),
            threads=spec.threads,
            iterations=spec.iterations,
            warm_up_iterations=spec.warm_up_iterations,
            seed=spec.seed,
            memory_bytes=bounds_here().limit_bytes(spec.threads),
        )
        return order, Subject(model.description.name, model.description.digest, runtime, spec.threads, 1)

    def runtime_version(self, runtime: str) -> str:
        """The version of the installed distribution."""
        return self._pools.installed[runtime]

    def command(self, request: CommandRequest, folder: Path, work: Path) -> CommandOrder:
        """What to run, and in which folder."""
        spec = request.spec
        bundle = str(_kept(folder, spec.bundle)) if spec.bundle else None
        return CommandOrder(
            list(spec.argv),
            dict(spec.env),
            bundle,
            str(work / WORK_NAME),
            str(work / OUTPUT_NAME),
            self._settings.max_jobs_bytes,
        )

    def labels(self, subject: Subject) -> dict[int, str]:
        """Names of the classes, where the model that was measured is still there."""
        model = self._registry.store.find(subject.model)
        return dict(model.labels) if model and model.description.digest == subject.model_digest else {}

    def _choose(self, model: StoredModel, spec: BenchmarkSpec | ProfileSpec) -> Choice:
        """Runtimes and devices to try; raises AgentError RUNTIME_UNAVAILABLE, DEVICE_UNAVAILABLE."""
        first = self._registry.runtime_for(model, spec.runtime)
        if spec.device == CPU:
            return Choice([Candidate(first, CPU)], [], f"{CPU} was asked for")
        others = [] if spec.runtime else [name for name in self._pools.installed if name != first]
        unfit = {name: reason for name in others if (reason := self._registry.why_not(model, name)) is not None}
        found = self._pools.devices.of([first, *(name for name in others if name not in unfit)])
        try:
            return choose(spec.device, found, unfit)
        except NoDevice as none:
            raise AgentError(ErrorCode.DEVICE_UNAVAILABLE, str(none)) from none

    def _cache(self, model: StoredModel) -> Path:
        """Where runtimes keep a model compiled; what they kept of models that are gone is removed."""
        folder = self._settings.data / CACHE_NAME
        held = {_key(each.description.digest) for each in self._registry.store}
        with contextlib.suppress(FileNotFoundError), Folder.at(folder) as cache:
            for name in cache.names():
                if name not in held:
                    cache.remove(name)
        return folder / _key(model.description.digest)

    def _keep(self, digests: list[str], folder: Path) -> None:
        """Hold on to uploaded files: a blob that nothing names is removed after an hour, a queue may be longer."""
        paths = {digest: self._registry.blob(digest) for digest in digests}
        for digest, path in paths.items():
            target = _kept(folder, digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(path, target)


def _bounded(spec: BenchmarkSpec, model: StoredModel) -> tuple[int, int, int | None]:
    """Threads, streams and the limit on memory of a benchmark; raises AgentError JOB_TOO_LARGE."""
    bounds = bounds_here()
    threads, streams = threads_and_streams(spec, allowed_resources().whole_cpus)
    require_threads(threads, streams, bounds)
    require_memory(spec, streams, model.description.inputs, model.description.size_bytes, bounds)
    return threads, streams, bounds.limit_bytes(threads * streams)


def _require_method(method: ProfileMethod | None, runtime: str) -> None:
    """Raise AgentError for a way of timing operators that a runtime does not have."""
    methods = profilers_of(runtime)
    if not methods:
        others = ", ".join(name for name, package in KNOWN.items() if package.profilers)
        raise AgentError(
            ErrorCode.RUNTIME_UNAVAILABLE, f"{runtime} has no way to time operators", hint=f"these have: {others}"
        )
    if method is not None and method not in methods:
        detail = f"{runtime} has no {method} way to time operators"
        raise AgentError(ErrorCode.RUNTIME_UNAVAILABLE, detail, hint=f"it has: {', '.join(methods)}")


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


def _key(digest: str) -> str:
    return digest.removeprefix("sha256:")[:32]


def _kept(folder: Path, digest: str) -> Path:
    return folder / INPUTS_NAME / digest.removeprefix("sha256:")

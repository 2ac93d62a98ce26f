"""From what was asked to what is done: model, runtime, threads and streams found, files at hand."""

import os
from pathlib import Path

from contract.codes import ErrorCode
from contract.jobs import (
    DEFAULT_ITERATIONS,
    AnyRequest,
    BenchmarkSpec,
    CommandRequest,
    Hint,
    Kernels,
    PictureInput,
    ProfileSpec,
    RandomInput,
)
from server.errors import AgentError
from server.jobs.order import BenchmarkOrder, CommandOrder, ProfileOrder
from server.jobs.results import Subject
from server.model_registry import ModelRegistry
from server.model_store import StoredModel
from server.resources import allowed_resources
from server.settings import Settings
from server.workers.pools import Pools

INPUTS_NAME = "inputs"
PROFILED_RUNTIME = "litert"


class Planner:
    """Resolves requests against the models and runtimes of this agent."""

    def __init__(self, settings: Settings, registry: ModelRegistry, pools: Pools) -> None:
        self._settings = settings
        self._registry = registry
        self._pools = pools

    def accept(self, request: AnyRequest, folder: Path) -> None:
        """Check that a request can be done here, and keep the files it needs in the job's folder.

        Raises AgentError: COMMANDS_NOT_ALLOWED, UNKNOWN_MODEL, UNKNOWN_BLOB, NOT_A_CLASSIFIER, RUNTIME_UNAVAILABLE.
        """
        if isinstance(request, CommandRequest):
            if not self._settings.allow_commands:
                raise AgentError(ErrorCode.COMMANDS_NOT_ALLOWED, "this agent was started without allowing commands")
            self._keep([request.spec.bundle] if request.spec.bundle else [], folder)
            return
        spec = request.spec
        model = self._registry.find(spec.model)
        runtime = self._runtime(model, spec.runtime)
        if isinstance(spec, ProfileSpec):
            _require_profiler(runtime)
        elif isinstance(spec.input, PictureInput):
            _ = model.spec  # raises when it takes no picture
            self._keep(spec.input.digests, folder)

    def benchmark(self, spec: BenchmarkSpec, folder: Path) -> tuple[BenchmarkOrder, Subject]:
        """What to measure; raises AgentError when it is not there any more."""
        model = self._registry.find(spec.model)
        runtime = self._runtime(model, spec.runtime)
        threads, streams = threads_and_streams(spec, allowed_resources().whole_cpus)
        pictures = spec.input.digests if isinstance(spec.input, PictureInput) else []
        unlimited = spec.iterations is None and spec.duration_s is None
        order = BenchmarkOrder(
            model_path=str(model.model_path),
            model_digest=model.description.digest,
            classifier=model.spec if model.description.classifier else None,
            runtime=runtime,
            delegates=self._pools.uses_delegates(runtime),
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
        )
        description = model.description
        return order, Subject(description.name, description.digest, runtime, threads, streams)

    def profile(self, spec: ProfileSpec) -> tuple[ProfileOrder, Subject]:
        """Whose operators to time; raises AgentError when it is not there any more."""
        model = self._registry.find(spec.model)
        runtime = self._runtime(model, spec.runtime)
        order = ProfileOrder(
            model_path=str(model.model_path),
            builtin=spec.kernels is Kernels.BUILTIN or not self._pools.uses_delegates(runtime),
            threads=spec.threads,
            iterations=spec.iterations,
            warm_up_iterations=spec.warm_up_iterations,
            seed=spec.seed,
        )
        return order, Subject(model.description.name, model.description.digest, runtime, spec.threads, 1)

    def runtime_version(self, runtime: str) -> str:
        """Of the installed distribution."""
        return self._pools.installed[runtime]

    def command(self, request: CommandRequest, folder: Path) -> CommandOrder:
        """What to run."""
        spec = request.spec
        bundle = str(_kept(folder, spec.bundle)) if spec.bundle else None
        return CommandOrder(list(spec.argv), dict(spec.env), bundle, self._settings.max_jobs_bytes)

    def labels(self, subject: Subject) -> dict[int, str]:
        """Names of the classes, where the model that was measured is still there."""
        model = self._registry.store.find(subject.model)
        return dict(model.labels) if model and model.description.digest == subject.model_digest else {}

    def _runtime(self, model: StoredModel, wanted: str | None) -> str:
        name = wanted or self._settings.runtime
        self._pools.require(name)
        check = model.description.runtimes.get(name)
        if check is not None and not check.ok:
            detail = f"{model.description.name} does not run on {name}: {check.detail}"
            raise AgentError(ErrorCode.RUNTIME_UNAVAILABLE, detail)
        return name

    def _keep(self, digests: list[str], folder: Path) -> None:
        """Hold on to uploaded files: a blob that nothing names is removed after an hour, a queue may be longer."""
        paths = {digest: self._registry.blob(digest) for digest in digests}
        for digest, path in paths.items():
            target = _kept(folder, digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(path, target)


def _require_profiler(runtime: str) -> None:
    if runtime != PROFILED_RUNTIME:
        detail = f"operators are timed with {PROFILED_RUNTIME} only, not with {runtime}"
        raise AgentError(ErrorCode.RUNTIME_UNAVAILABLE, detail)


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


def _kept(folder: Path, digest: str) -> Path:
    return folder / INPUTS_NAME / digest.removeprefix("sha256:")

"""Profiles: which operators of a model the time goes to."""

from pathlib import Path

from contract.codes import ErrorCode
from contract.jobs import ProfileRequest, Progress
from contract.results import ProfileResult
from contract.specs import Kernels, ProfileMethod
from server.errors import AgentError
from server.jobs.kinds.base import Beginning, Kind, Measured, Places, Subject, runs_so_far
from server.jobs.kinds.bounds import bounds_here, require_threads
from server.jobs.kinds.devices import choose_devices
from server.jobs.record.journal import Journal
from server.profilers.order import ProfileOrder
from server.runtimes import KNOWN, profilers_of
from server.validity.verdict import judge


class ProfileKind(Kind[ProfileRequest]):
    """Times operators one by one."""

    def accept(self, request: ProfileRequest, record: Path) -> None:
        """Raises AgentError UNKNOWN_MODEL, RUNTIME_UNAVAILABLE, DEVICE_UNAVAILABLE, JOB_TOO_LARGE."""
        spec = request.spec
        model = self._means.registry.find(spec.model)
        require_threads(spec.threads, 1, bounds_here())
        _require_method(spec.method, choose_devices(self._means, model, spec).candidates[0].runtime)

    def begin(self, request: ProfileRequest, places: Places) -> Beginning:
        """Whose operators to time, on the best device."""
        spec, pools = request.spec, self._means.pools
        model = self._means.registry.find(spec.model)
        best = choose_devices(self._means, model, spec).candidates[0]
        order = ProfileOrder(
            model=model.source,
            runtime=best.runtime,
            device=best.device,
            precision=spec.precision,
            method=spec.method,
            builtin=spec.kernels is Kernels.BUILTIN or not pools.uses_delegates(best.runtime),
            threads=spec.threads,
            iterations=spec.iterations,
            warm_up_iterations=spec.warm_up_iterations,
            seed=spec.seed,
            memory_bytes=bounds_here().limit_bytes(spec.threads),
        )
        subject = Subject(
            model=model.description.name,
            model_digest=model.description.digest,
            runtime=best.runtime,
            runtime_version=pools.installed[best.runtime],
            threads=spec.threads,
            streams=1,
        )
        return Beginning(order, subject)

    def result(self, request: ProfileRequest, measured: Measured) -> ProfileResult | None:
        """The result, None when it was cut off before the operators were summed up."""
        journal, subject = measured.journal, measured.subject
        loaded, profiled = journal.loaded, journal.profiled
        if subject is None or loaded is None or profiled is None:
            return None
        latency, explained, facts = measured.latency(), profiled.explained, profiled.facts
        unattributed = None if latency is None or explained is None else latency.mean_ms * 1e3 * (1 - explained)
        return ProfileResult(
            complete=measured.complete,
            spec=request.spec,
            model=subject.model,
            model_digest=subject.model_digest,
            runtime=subject.runtime,
            runtime_version=subject.runtime_version,
            method=profiled.method,
            method_detail=profiled.method_detail,
            device=profiled.device,
            precision=profiled.precision,
            threads=subject.threads,
            load_ms=loaded.load_ms,
            first_inference_ms=loaded.first_inference_ms,
            iterations=journal.iterations,
            latency=latency,
            plain_p50_ms=profiled.plain_p50_ms,
            operators=profiled.operators,
            explained=explained,
            unattributed_us=unattributed,
            macs=facts.macs,
            parameters=facts.parameters,
            weight_bytes=facts.weight_bytes,
            peak_activation_bytes=facts.peak_activation_bytes,
            peak_operator=facts.peak_operator,
            arena_bytes=facts.arena_bytes,
            resident_before_load_bytes=facts.resident_before_load_bytes,
            peak_resident_bytes=facts.peak_resident_bytes,
            windows=journal.windows,
            samples_ms=journal.samples_ms,
            probe=journal.probe,
            conditions=measured.conditions_with_temperatures(),
            validity=judge(measured.telemetry, journal.probe, samples_ms=journal.samples_ms, windows=journal.windows),
        )

    def progress(self, request: ProfileRequest, journal: Journal, elapsed_s: float) -> Progress:
        """The iterations with the profiler on."""
        return runs_so_far(journal, request.spec.iterations)


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

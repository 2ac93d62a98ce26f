"""Put a job's result together from what it reported, whole or as far as it came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.classify import Prediction
from contract.devices import Selection
from contract.results import (
    BenchmarkResult,
    CommandResult,
    Conditions,
    LatencySummary,
    ProfileResult,
)
from contract.specs import BenchmarkSpec, CommandSpec, ProfileSpec
from contract.telemetry import Telemetry
from server.jobs.artifacts import Left
from server.jobs.events import Ended, ReportedEngine
from server.jobs.journal import Journal
from server.statistics import summary
from server.validity.verdict import judge

CPU_TEMPERATURE = "cpu_temperature_celsius"
RAN_ON = ("runtime", "runtime_version", "delegate", "precision", "loaded_from_cache", "batch_mode", "batch_detail")
"""What an engine tells of itself, beside its device."""


@dataclass(frozen=True)
class Measured:
    """Everything there is of a job that ended, or was cut off."""

    journal: Journal
    telemetry: Telemetry | None
    conditions: Conditions
    complete: bool


@dataclass(frozen=True)
class Subject:
    """What a benchmark measured, as the agent resolved it."""

    model: str
    model_digest: str
    runtime: str
    threads: int
    streams: int
    selection: dict[str, Any] | None = None
    """How the devices were chosen, as far as that was before the job began."""


def benchmark_result(
    spec: BenchmarkSpec, subject: Subject, measured: Measured, labels: Mapping[int, str]
) -> BenchmarkResult | None:
    """The result of a benchmark, None when it was cut off before the model was loaded."""
    journal = measured.journal
    loaded = journal.loaded
    if loaded is None:
        return None
    ran_on = journal.ran_on or loaded
    iterations = journal.iterations
    duration_s = journal.duration_s()
    frames = iterations * spec.batch
    return BenchmarkResult(
        complete=measured.complete,
        spec=spec,
        model=subject.model,
        model_digest=subject.model_digest,
        threads=subject.threads,
        streams=subject.streams,
        batch=spec.batch,
        selection=_selection(subject, journal),
        device=_devices(journal, ran_on),
        **_ran(ran_on),
        load_ms=loaded.load_ms,
        first_inference_ms=loaded.first_inference_ms,
        first_inference_latency_ms=loaded.load_ms + loaded.first_inference_ms,
        warm_up_ms=journal.warm_up_ms,
        iterations=iterations,
        frames=frames,
        duration_s=duration_s,
        fps=frames / duration_s if duration_s else None,
        latency=_latency(journal),
        samples_ms=journal.samples_ms,
        windows=journal.windows,
        predictions=_predictions(loaded.predictions, labels),
        probe=journal.probe,
        conditions=_with_temperatures(measured),
        validity=judge(measured.telemetry, journal.probe, samples_ms=journal.samples_ms, windows=journal.windows),
    )


def profile_result(spec: ProfileSpec, subject: Subject, version: str, measured: Measured) -> ProfileResult | None:
    """The result of a profile, None when it was cut off before the operators were summed up."""
    journal = measured.journal
    loaded, profiled = journal.loaded, journal.profiled
    if loaded is None or profiled is None:
        return None
    latency, explained = _latency(journal), profiled.explained
    unattributed = None if latency is None or explained is None else latency.mean_ms * 1e3 * (1 - explained)
    return ProfileResult(
        complete=measured.complete,
        spec=spec,
        model=subject.model,
        model_digest=subject.model_digest,
        runtime=subject.runtime,
        runtime_version=version,
        threads=subject.threads,
        load_ms=loaded.load_ms,
        first_inference_ms=loaded.first_inference_ms,
        iterations=journal.iterations,
        latency=latency,
        operators=profiled.operators,
        explained=explained,
        unattributed_us=unattributed,
        **profiled.graph,
        windows=journal.windows,
        samples_ms=journal.samples_ms,
        probe=journal.probe,
        conditions=_with_temperatures(measured),
        validity=judge(measured.telemetry, journal.probe, samples_ms=journal.samples_ms, windows=journal.windows),
    )


def command_result(spec: CommandSpec, left: Left, measured: Measured) -> CommandResult | None:
    """How a program ended, None when it was never started."""
    journal = measured.journal
    if all(name != "command" for name, _ in journal.phases):
        return None
    ended = journal.ended or Ended()
    return CommandResult(
        complete=measured.complete,
        spec=spec,
        exit_code=ended.exit_code,
        signal=ended.signal,
        duration_s=ended.duration_s or _duration_s(measured.telemetry),
        cpu_s=ended.cpu_s,
        max_resident_bytes=ended.max_resident_bytes,
        left_running=ended.left_running,
        stdout_bytes=left.stdout_bytes,
        stderr_bytes=left.stderr_bytes,
        artifacts=left.artifacts,
        artifacts_left_out=left.notes,
        probe=journal.probe,
        conditions=_with_temperatures(measured),
        validity=judge(measured.telemetry, journal.probe, phase="command"),
    )


def _latency(journal: Journal) -> LatencySummary | None:
    """Summarise the samples kept; the longest is that of all."""
    found = summary(journal.samples_ms)
    return found and found.model_copy(update={"max_ms": max(window.max_ms for window in journal.windows)})


def _selection(subject: Subject, journal: Journal) -> Selection | None:
    if subject.selection is None:
        return None
    iterations = journal.ran_on.iterations if journal.ran_on else {}
    update = {"events": journal.devices, "iterations": iterations}
    return Selection.model_validate(subject.selection).model_copy(update=update)


def _ran(facts: ReportedEngine) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in RAN_ON}


def _devices(journal: Journal, ran_on: ReportedEngine) -> str:
    """What ran the timed iterations: where engines took turns, all of them in the order of their use."""
    turns = dict.fromkeys(
        name.split(" ", 1)[1] for name in (journal.ran_on.iterations if journal.ran_on else {}) if " " in name
    )
    return ",".join(turns) if len(turns) > 1 else str(ran_on.device)


def _predictions(best: Sequence[tuple[int, float]], labels: Mapping[int, str]) -> list[Prediction]:
    return [Prediction(index=index, label=labels.get(index), score=score) for index, score in best]


def _with_temperatures(measured: Measured) -> Conditions:
    series = measured.telemetry.series.get(CPU_TEMPERATURE, []) if measured.telemetry else []
    known = [value for value in series if value is not None]
    if not known:
        return measured.conditions
    update = {"cpu_temperature_before_celsius": known[0], "cpu_temperature_after_celsius": known[-1]}
    return measured.conditions.model_copy(update=update)


def _duration_s(telemetry: Telemetry | None) -> float:
    """As long as the telemetry saw the program, for one that was cut off."""
    if telemetry is None or not telemetry.t_s:
        return 0.0
    start = next((phase.start_s for phase in telemetry.phases if phase.name == "command"), telemetry.t_s[0])
    return max(0.0, telemetry.t_s[-1] - start)

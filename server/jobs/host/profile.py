"""Time a model's operators one by one: load, first inference, warm-up, timed phase, and once more without."""

import threading
import time
from collections import deque
from typing import Any

import numpy as np

from server.jobs.host.events import Events
from server.jobs.host.failure import JobFailed
from server.jobs.host.surroundings import Surroundings
from server.jobs.host.windows import Finished, report_windows
from server.jobs.record.events import LoadedEvent, ProfiledEvent
from server.profilers.base import MethodUnavailable, Profiler
from server.profilers.choice import open_profiler
from server.profilers.memory import forget_peak, peak_resident_bytes, resident_bytes
from server.profilers.order import ProfileOrder
from server.profilers.rows import Times, model_facts, operator_rows
from server.runtimes.base import ModelFault, ModelFiles
from server.runtimes.inspection import InspectedModel
from server.tflite.facts import GraphFacts, graph_facts
from server.workers.sources import SourceError, read_files

INTERPRETERS = ("litert", "tflite")
PLAIN_RUNS_MAX = 200
"""Without the profiler, to know what it costs."""


def run(fields: dict[str, Any], surroundings: Surroundings) -> None:
    """Execute one order; raises JobFailed."""
    order = ProfileOrder.from_wire(fields)
    try:
        _profile(order, surroundings.events)
    except SourceError as fault:
        raise JobFailed(fault.code, str(fault)) from fault
    except MethodUnavailable as reason:
        raise JobFailed("runtime_unavailable", str(reason)) from reason
    except (ModelFault, ValueError, RuntimeError) as fault:
        raise JobFailed("model_rejected", f"profiling with {order.runtime}: {fault}") from fault


def _profile(order: ProfileOrder, events: Events) -> None:
    files = read_files(order.model)
    facts = graph_facts(files.content) if files.format == "tflite" else None
    events.phase("trial")
    profiler = open_profiler(order, files, facts)
    memory = _load(order, profiler, events)
    executed = profiler.begin()
    _warm_up(order, profiler, events)
    times, whole_us = _measure(order, profiler, len(executed), events)
    events.phase("plain")
    plain_ms = _plain(order, profiler)
    profiled = ProfiledEvent(
        operators=operator_rows(facts, executed, times, whole_us, profiler.rated_from_us),
        explained=float(times.sum(dtype=np.float64) / whole_us.sum(dtype=np.float64)) if whole_us.any() else None,
        method=profiler.method,
        method_detail=profiler.detail,
        device=profiler.execution.device,
        precision=profiler.execution.precision,
        plain_p50_ms=plain_ms,
        facts=model_facts(facts, _arena_bytes(order, files, facts), *memory),
    )
    events.write(profiled)


def _load(order: ProfileOrder, profiler: Profiler, events: Events) -> tuple[int | None, int | None]:
    """Load and run once, both timed; gives the process's resident memory before, and the most until after."""
    events.phase("load")
    before_bytes = resident_bytes()
    forget_peak()
    started = time.perf_counter_ns()
    profiler.load()
    loaded = time.perf_counter_ns()
    profiler.feed(order.seed)
    began = time.perf_counter_ns()
    profiler.plain()
    ended = time.perf_counter_ns()
    events.write(LoadedEvent(load_ms=(loaded - started) / 1e6, first_inference_ms=(ended - began) / 1e6))
    return before_bytes, peak_resident_bytes()


def _warm_up(order: ProfileOrder, profiler: Profiler, events: Events) -> None:
    events.phase("warm-up")
    for _ in range(order.warm_up_iterations):
        profiler.run()


def _measure(order: ProfileOrder, profiler: Profiler, operators: int, events: Events) -> tuple[Times, Times]:
    """Times of shape [iterations, operators] and those of the whole graph, in microseconds."""
    times = np.zeros((order.iterations, operators), np.float32)
    whole_us = np.zeros(order.iterations, np.float32)
    finished: Finished = deque()
    faults: list[Exception] = []

    def work() -> None:
        try:
            for number in range(order.iterations):
                whole_us[number], operators_us = profiler.run()
                if operators_us is not None:
                    times[number] = operators_us
                finished.append((time.perf_counter_ns(), int(whole_us[number] * 1e3)))
        except Exception as fault:
            faults.append(fault)

    events.phase("timed")
    started = time.perf_counter_ns()
    stream = threading.Thread(target=work)
    stream.start()
    report_windows(order, [stream], finished, started, events)
    if faults:
        raise faults[0]
    collected = profiler.collected()
    if collected is not None:
        times[:] = collected[-order.iterations :]
    return times, whole_us


def _plain(order: ProfileOrder, profiler: Profiler) -> float:
    took_ms = []
    for _ in range(min(order.iterations, PLAIN_RUNS_MAX)):
        before = time.perf_counter_ns()
        profiler.plain()
        took_ms.append((time.perf_counter_ns() - before) / 1e6)
    return float(np.median(took_ms))


def _arena_bytes(order: ProfileOrder, files: ModelFiles, facts: GraphFacts | None) -> int | None:
    """As an interpreter with built-in kernels lays it out; a delegate keeps its own memory to itself."""
    if facts is None or order.runtime not in INTERPRETERS:
        return None
    try:
        return InspectedModel(files.content, order.runtime).span(facts.activations)
    except ModelFault:
        return None

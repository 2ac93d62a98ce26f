"""Time a model's operators one by one with the runtime's own profiler."""

import threading
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.jobs.host.alignment import align
from server.jobs.host.events import Events
from server.jobs.host.failure import JobFailed
from server.jobs.host.frames import noise
from server.jobs.host.windows import Finished, report_windows
from server.jobs.order import ProfileOrder
from server.jobs.statistics import NEEDED
from server.runtimes.base import ModelFault
from server.runtimes.facts import GraphFacts, graph_facts
from server.runtimes.litert_profiler import Library, NativeModel, OperatorTime, ProfilerUnavailable
from server.telemetry.probe import fixed_work_ms

PLAIN_RUNS_MAX = 200
"""Without the profiler, to know what it costs."""
METHOD = "litert-native"
RATED_FROM_US = 10.0
"""The profiler counts whole microseconds: below ten a rate would be mostly rounding."""

Times = NDArray[np.float32]


def run_profile(fields: dict[str, Any], events: Events) -> None:
    """Carry out one order; raises JobFailed."""
    order = ProfileOrder(**fields)
    events.phase("idle")
    before_ms = fixed_work_ms()
    events.write("probe", before_ms=before_ms)
    content = Path(order.model_path).read_bytes()
    try:
        facts = graph_facts(content)
        model = _load(order, Library(), content, events)
        _warm_up(order, model, events)
        operators, times, invoke_us = _measure(order, model, events)
        events.phase("plain")
        plain_ms = _plain(order, model)
    except (ModelFault, ValueError) as fault:
        raise JobFailed("model_rejected", f"the profiler of litert: {fault}") from fault
    except ProfilerUnavailable as reason:
        raise JobFailed("runtime_unavailable", str(reason)) from reason
    events.phase("cool-down")
    rows = _rows(facts, operators, times, invoke_us)
    explained = float(times.sum() / invoke_us.sum()) if invoke_us.sum() else None
    events.write("profiled", method=METHOD, operators=rows, plain_p50_ms=plain_ms, explained=explained, **_graph(facts))
    events.write("probe", before_ms=before_ms, after_ms=fixed_work_ms())


def _load(order: ProfileOrder, library: Library, content: bytes, events: Events) -> NativeModel:
    events.phase("load")
    started = time.perf_counter_ns()
    model = NativeModel(library, content, threads=order.threads, builtin=order.builtin)
    loaded = time.perf_counter_ns()
    source = np.random.default_rng(order.seed)
    for array in model.inputs:
        array[...] = noise(source, array.shape, array.dtype.name)
    began = time.perf_counter_ns()
    model.run()
    ended = time.perf_counter_ns()
    events.write("loaded", load_ms=(loaded - started) / 1e6, first_inference_ms=(ended - began) / 1e6)
    return model


def _warm_up(order: ProfileOrder, model: NativeModel, events: Events) -> None:
    events.phase("warm-up")
    for _ in range(order.warm_up_iterations):
        model.profile()


def _measure(order: ProfileOrder, model: NativeModel, events: Events) -> tuple[list[OperatorTime], Times, Times]:
    """Operators, their times of shape [iterations, operators] and those of the whole graph, in microseconds."""
    operators = list(model.profile().operators)
    times = np.zeros((order.iterations, len(operators)), np.float32)
    invoke_us = np.zeros(order.iterations, np.float32)
    finished: Finished = deque()
    faults: list[Exception] = []

    def work() -> None:
        try:
            for number in range(order.iterations):
                run = model.profile()
                if len(run.operators) != len(operators):
                    raise ModelFault(f"{len(run.operators)} operators ran instead of {len(operators)}")
                times[number] = [operator.elapsed_us for operator in run.operators]
                invoke_us[number] = run.invoke_us
                finished.append((time.perf_counter_ns(), int(run.invoke_us * 1e3)))
        except Exception as fault:
            faults.append(fault)

    events.phase("timed")
    started = time.perf_counter_ns()
    stream = threading.Thread(target=work)
    stream.start()
    report_windows(order, [stream], finished, started, events)
    if faults:
        raise faults[0]
    return operators, times, invoke_us


def _plain(order: ProfileOrder, model: NativeModel) -> float:
    took_ms = []
    for _ in range(min(order.iterations, PLAIN_RUNS_MAX)):
        before = time.perf_counter_ns()
        model.run()
        took_ms.append((time.perf_counter_ns() - before) / 1e6)
    return float(np.median(took_ms))


def _rows(facts: GraphFacts, operators: list[OperatorTime], times: Times, invoke_us: Times) -> list[dict[str, Any]]:
    aligned = align([operator.kind for operator in facts.operators], operators)
    calls, whole = len(times), float(invoke_us.mean()) or 1.0
    rows = []
    for number, (operator, place) in enumerate(zip(operators, aligned, strict=True)):
        column = times[:, number]
        mean = float(column.mean())
        fact = facts.operators[place] if place is not None else None
        known = asdict(fact) if fact is not None else {}
        rows.append(
            {
                **{name: known.get(name) for name in ("kind", "output", "output_shape", "output_dtype")},
                **{name: known.get(name) for name in ("macs", "parameters", "weight_bytes", "activation_bytes")},
                "number": number,
                "name": operator.name,
                "delegated": operator.delegated,
                "operator": place,
                "calls": calls,
                "mean_us": mean,
                "std_us": float(column.std(ddof=1)) if calls > 1 else None,
                "p50_us": float(np.percentile(column, 50)),
                "p95_us": float(np.percentile(column, 95)) if calls >= NEEDED[95] else None,
                "share": mean / whole,
                "gflops": 2 * fact.macs / mean / 1e3
                if fact is not None and fact.macs and mean >= RATED_FROM_US
                else None,
            }
        )
    return rows


def _gflops(macs: int, mean_us: float) -> float | None:
    return 2 * macs / mean_us / 1e3 if macs and mean_us >= RATED_FROM_US else None


def _graph(facts: GraphFacts) -> dict[str, int]:
    return {
        "macs": sum(operator.macs for operator in facts.operators),
        "parameters": sum(operator.parameters for operator in facts.operators),
        "weight_bytes": sum(operator.weight_bytes for operator in facts.operators),
        "peak_activation_bytes": facts.peak_bytes,
        "peak_operator": facts.peak_operator,
    }

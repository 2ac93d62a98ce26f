"""Measure a model: load, first inference, warm-up, timed phase, each apart, samples kept as they are."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from image_model.postprocess import dequantise, softmax, top_k
from server.jobs.host.batches import Batched, Reference, open_batched
from server.jobs.host.events import Events
from server.jobs.host.failure import JobFailed
from server.jobs.host.frames import Frame, in_batches, single_frames
from server.jobs.host.windows import Finished, report_windows
from server.jobs.order import BenchmarkOrder
from server.runtimes import open_runtime
from server.runtimes.base import Array, LoadedModel, ModelFault, Tensor
from server.telemetry.probe import fixed_work_ms

Groups = Sequence[Sequence[Frame]]
"""For each iteration in turn, the invocations it consists of."""

SHOWN_CLASSES = 3


def run_benchmark(fields: dict[str, Any], folder: Path, events: Events) -> None:
    """Carry out one order; raises JobFailed."""
    order = BenchmarkOrder.from_wire(fields)
    events.phase("idle")
    before_ms = fixed_work_ms()
    events.write("probe", before_ms=before_ms)
    try:
        streams, groups = _load(order, events)
        _warm_up(order, streams[0], groups, events)
        _measure(order, streams, groups, events)
    except ModelFault as fault:
        raise JobFailed("model_rejected", f"{order.runtime}: {fault}") from fault
    events.phase("cool-down")
    events.write("probe", before_ms=before_ms, after_ms=fixed_work_ms())


def _load(order: BenchmarkOrder, events: Events) -> tuple[list[Batched], Groups]:
    """Load one model a stream; the first is timed, its first inference too."""
    content = Path(order.model_path).read_bytes()
    runtime = open_runtime(order.runtime, delegates=order.delegates)
    events.phase("load")
    started = time.perf_counter_ns()
    single = runtime.load(content, threads=order.threads)
    loaded = time.perf_counter_ns()
    frames = single_frames(order, single.inputs)
    began = time.perf_counter_ns()
    stored = single.invoke(*frames[0])
    ended = time.perf_counter_ns()
    reference = Reference(frames[0], stored)

    def batched(model: LoadedModel) -> Batched:
        return open_batched(runtime, content, model, threads=order.threads, batch=order.batch, reference=reference)

    first = batched(single)
    events.write(
        "loaded",
        load_ms=(loaded - started) / 1e6,
        first_inference_ms=(ended - began) / 1e6,
        runtime_version=runtime.version,
        device=runtime.device,
        delegate=first.model.delegate,
        batch_mode=first.mode,
        batch_detail=first.detail,
        predictions=_predictions(order, single.outputs[0], stored[0]),
    )
    others = [batched(runtime.load(content, threads=order.threads)) for _ in range(order.streams - 1)]
    return [first, *others], [first.prepare(group) for group in in_batches(frames, order.batch)]


def _predictions(order: BenchmarkOrder, sink: Tensor, stored: Array) -> list[tuple[int, float]]:
    """The best classes of the first frame: what is measured really works."""
    if order.classifier is None:
        return []
    real = dequantise(stored.ravel(), sink.scale, sink.zero_point)
    scores = softmax(real) if order.classifier.logits else real
    return [(int(index), float(scores[index])) for index in top_k(scores, SHOWN_CLASSES)]


def _warm_up(order: BenchmarkOrder, model: Batched, groups: Groups, events: Events) -> None:
    events.phase("warm-up")
    took_ms = []
    for number in range(order.warm_up_iterations):
        before = time.perf_counter_ns()
        model.run(groups[number % len(groups)])
        took_ms.append((time.perf_counter_ns() - before) / 1e6)
    events.write("warm-up", took_ms=took_ms)


def _measure(order: BenchmarkOrder, streams: Sequence[Batched], groups: Groups, events: Events) -> None:
    """Run all streams at once and report a window of what they did now and then."""
    limit = order.iterations if order.iterations is not None else 1 << 62
    length_ns = int(order.duration_s * 1e9) if order.duration_s is not None else 1 << 62
    numbers = itertools.count()
    finished: Finished = deque()
    faults: list[Exception] = []
    events.phase("timed")
    start_ns = time.perf_counter_ns()

    def work(model: Batched) -> None:
        try:
            _loop(model, groups, numbers, limit, start_ns + length_ns, finished, faults)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(model,)) for model in streams]
    for thread in threads:
        thread.start()
    report_windows(order, threads, finished, start_ns, events)
    if faults:
        raise faults[0]


def _loop(
    model: Batched,
    groups: Groups,
    numbers: "itertools.count[int]",
    limit: int,
    end_ns: int,
    finished: Finished,
    faults: Sequence[Exception],
) -> None:
    run, clock, count = model.run, time.perf_counter_ns, len(groups)
    after = clock()
    while (number := next(numbers)) < limit and after < end_ns and not faults:
        before = clock()
        run(groups[number % count])
        after = clock()
        finished.append((after, after - before))

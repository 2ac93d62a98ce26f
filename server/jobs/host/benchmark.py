"""Measure a model: load, first inference, warm-up, timed phase, each apart, samples kept as they are."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from contract.tasks import Task
from image_model.postprocess import dequantise, softmax, top_k
from server.jobs.host.events import Events
from server.jobs.host.failover import Failover
from server.jobs.host.failure import JobFailed
from server.jobs.host.surroundings import Surroundings
from server.jobs.host.windows import Finished, report_windows
from server.jobs.record.events import LoadedEvent, RanOnEvent, WarmUpEvent
from server.jobs.record.orders import BenchmarkOrder
from server.runtimes.base import Array, ModelFault, Tensor
from server.tasks.classification import gives_logits
from server.workers.sources import SourceError, read_files

SHOWN_CLASSES = 3


def run(fields: dict[str, Any], surroundings: Surroundings) -> None:
    """Execute one order; raises JobFailed."""
    order, events = BenchmarkOrder.from_wire(fields), surroundings.events
    try:
        failover = _load(order, events)
        _warm_up(order, failover, events)
        _measure(order, failover, events)
    except SourceError as error:
        raise JobFailed(error.code, str(error)) from error
    except ModelFault as fault:
        raise JobFailed("model_rejected", f"{order.candidates[-1].runtime}: {fault}") from fault


def _load(order: BenchmarkOrder, events: Events) -> Failover:
    """Load one model a stream; the first is timed, its first inference too."""
    files = read_files(order.model.source)
    events.phase("load")
    failover = Failover(order, files, events)
    base = failover.base
    loaded = LoadedEvent(
        load_ms=base.load_ms,
        first_inference_ms=base.first_inference_ms,
        engine=base.facts(),
        predictions=_predictions(order, base.model.outputs, base.reference.outputs),
    )
    events.write(loaded)
    return failover


def _predictions(order: BenchmarkOrder, outputs: Sequence[Tensor], stored: Sequence[Array]) -> list[tuple[int, float]]:
    """The best classes of the first frame, of a classifier: what is measured really works."""
    if order.model.task is not Task.CLASSIFICATION:
        return []
    real = dequantise(stored[0].ravel(), outputs[0].scale, outputs[0].zero_point)
    scores = softmax(real) if gives_logits(order.model.reading) else real
    return [(int(index), float(scores[index])) for index in top_k(scores, SHOWN_CLASSES)]


def _warm_up(order: BenchmarkOrder, failover: Failover, events: Events) -> None:
    """Run the first inferences; go on while an accelerator compiles, and begin anew on it."""
    events.phase("warm-up")
    run = failover.runner(0)
    number = 0
    while failover.undecided:
        run(number)
        number += 1
    took_ms = []
    for number in range(order.warm_up_iterations):
        before = time.perf_counter_ns()
        run(number)
        took_ms.append((time.perf_counter_ns() - before) / 1e6)
    events.write(WarmUpEvent(took_ms=took_ms))


def _measure(order: BenchmarkOrder, failover: Failover, events: Events) -> None:
    """Run all streams at once and report a window of what they did now and then."""
    limit = order.iterations if order.iterations is not None else 1 << 62
    length_ns = int(order.duration_s * 1e9) if order.duration_s is not None else 1 << 62
    numbers = itertools.count()
    finished: Finished = deque()
    faults: list[Exception] = []
    failover.reset_counts()
    events.phase("timed")
    start_ns = time.perf_counter_ns()

    def work(run: Callable[[int], None]) -> None:
        try:
            _loop(run, numbers, limit, start_ns + length_ns, finished, faults)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(failover.runner(stream),)) for stream in range(order.streams)]
    for thread in threads:
        thread.start()
    report_windows(order, threads, finished, start_ns, events)
    if faults:
        raise faults[0]
    events.write(RanOnEvent(engine=failover.current.facts(), iterations=failover.counts()))


def _loop(
    run: Callable[[int], None],
    numbers: "itertools.count[int]",
    limit: int,
    end_ns: int,
    finished: Finished,
    faults: Sequence[Exception],
) -> None:
    clock = time.perf_counter_ns
    after = clock()
    while (number := next(numbers)) < limit and after < end_ns and not faults:
        before = clock()
        run(number)
        after = clock()
        finished.append((after, after - before))

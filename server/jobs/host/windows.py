"""Windows of a measurement: what was finished in each stretch of time, reported while it runs."""

import math
import threading
import time
from collections import deque
from collections.abc import Sequence

from contract.percentiles import percentile
from server.jobs.host.events import Events
from server.jobs.record.events import WindowEvent
from server.jobs.record.orders import BenchmarkOrder
from server.profilers.order import ProfileOrder

SAMPLES_KEPT = 500_000
"""The most samples kept of one job. Of more than these every k-th is kept: a tiny model makes millions a minute."""
WINDOW_SAMPLES_MIN = 20

Finished = deque[tuple[int, int]]
"""End and duration of each inference in nanoseconds, added by the streams, taken by the reporter."""


def report_windows(
    order: BenchmarkOrder | ProfileOrder,
    streams: Sequence[threading.Thread],
    finished: Finished,
    start_ns: int,
    events: Events,
) -> None:
    """Write a window for each stretch of `window_s` until all streams have ended.

    Windows end with an inference, so that a rate is not that of one cut in two; the last one is as long as it is.
    """
    window_start, window_ns = start_ns, int(order.window_s * 1e9)
    wanted_ns = window_ns
    while True:
        _wait(streams, window_start + wanted_ns)
        through = not any(stream.is_alive() for stream in streams)
        taken = [finished.popleft() for _ in range(len(finished))]
        if taken:
            end = max(ended for ended, _ in taken)
            events.write(_window(order, taken, window_start - start_ns, end - start_ns))
            window_start, wanted_ns = end, window_ns
        else:
            wanted_ns += window_ns  # slower than a window: report when there is something
        if through:
            return


def _wait(streams: Sequence[threading.Thread], until_ns: int) -> None:
    for stream in streams:
        stream.join(max(0.0, (until_ns - time.perf_counter_ns()) / 1e9))


def _window(
    order: BenchmarkOrder | ProfileOrder, taken: Sequence[tuple[int, int]], start_ns: int, end_ns: int
) -> WindowEvent:
    kept_ms = [took / 1e6 for _, took in taken[:: _every(order, len(taken))]]
    return WindowEvent(
        start_s=start_ns / 1e9,
        end_s=end_ns / 1e9,
        iterations=len(taken),
        fps=len(taken) * order.batch / ((end_ns - start_ns) / 1e9),
        p50_ms=percentile(sorted(kept_ms), 50),
        max_ms=max(took for _, took in taken) / 1e6,
        samples_ms=kept_ms,
    )


def _every(order: BenchmarkOrder | ProfileOrder, count: int) -> int:
    """Which part of a window's samples is kept, so that all windows keep about the same part."""
    if order.iterations is not None:
        return math.ceil(order.iterations / SAMPLES_KEPT)
    assert order.duration_s is not None
    share = max(WINDOW_SAMPLES_MIN, int(SAMPLES_KEPT * min(1.0, order.window_s / order.duration_s)))
    return math.ceil(count / share)

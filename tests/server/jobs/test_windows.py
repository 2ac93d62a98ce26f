"""Windows of a measurement."""

import json
import os
import threading
from collections import deque
from pathlib import Path

import pytest

from contract.tasks import Task
from server.jobs.host import windows
from server.jobs.host.events import Events
from server.jobs.record.channels import EVENTS_NAME
from server.jobs.record.orders import BenchmarkOrder, DeviceOrder
from server.workers.messages import ModelSource, ModelSpec

MS = 1_000_000


def order(iterations: int | None, duration_s: float | None) -> BenchmarkOrder:
    return BenchmarkOrder(
        model=ModelSpec(ModelSource("tflite", "", "", {}), Task.TENSOR, None, {}),
        candidates=[DeviceOrder("litert", "CPU", True)],
        precision=None,
        hint=None,
        cache=None,
        threads=1,
        streams=1,
        batch=2,
        iterations=iterations,
        duration_s=duration_s,
        warm_up_iterations=0,
        window_s=1.0,
        seed=0,
        images=[],
        max_pixels=1,
    )


def reported(tmp_path: Path, asked: BenchmarkOrder, finished: list[tuple[int, int]]) -> list[dict[str, object]]:
    """The windows of streams that have ended already."""
    read_fd, write_fd = os.pipe()
    stream = threading.Thread(target=lambda: None)
    stream.start()
    stream.join()
    with (tmp_path / EVENTS_NAME).open("ab") as journal:
        windows.report_windows(asked, [stream], deque(finished), 0, Events(journal.fileno(), write_fd))
    os.close(write_fd)
    os.close(read_fd)
    return [json.loads(line) for line in (tmp_path / EVENTS_NAME).read_text().splitlines()]


def test_a_window_ends_with_an_inference_and_counts_frames(tmp_path: Path) -> None:
    """Its rate is that of whole inferences, whatever the window's length."""
    finished = [(3 * number * MS, 3 * MS) for number in range(1, 101)]
    (window,) = reported(tmp_path, order(100, None), finished)
    assert (window["iterations"], window["start_s"], window["end_s"]) == (100, 0.0, 0.3)
    assert window["fps"] == pytest.approx(2 * 100 / 0.3)
    assert (window["p50_ms"], window["max_ms"]) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("iterations", "duration_s", "kept"), [(300, None, 300), (1_000_000, None, 150), (None, 10.0, 300)]
)
def test_samples_are_thinned_evenly_and_the_longest_is_never_lost(
    tmp_path: Path, iterations: int | None, duration_s: float | None, kept: int
) -> None:
    """More than half a million are thinned to every k-th; maximum and count stay those of all."""
    finished = [(number * MS, 2 * MS if number != 8 else 9 * MS) for number in range(1, 301)]
    (window,) = reported(tmp_path, order(iterations, duration_s), finished)
    samples = window["samples_ms"]
    assert isinstance(samples, list)
    assert len(samples) == kept
    assert (window["iterations"], window["max_ms"]) == (300, 9.0)


def test_nothing_finished_makes_no_window(tmp_path: Path) -> None:
    """No division by zero, no empty window."""
    assert reported(tmp_path, order(5, None), []) == []

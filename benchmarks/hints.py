"""What the latency and throughput hints reach, against bare loops with every setting known to be good here.

Rounds alternate between the bare loops and one job a hint. A hint's rate (throughput) or median (latency) is held
against the best bare loop of the same round. Aim: 0.95 of it.
"""

import os
import statistics
import subprocess
import sys
from collections import defaultdict

from benchmarks.common import BenchmarkedAgent, agent_with_model, alternation, table, wait_for_job
from contract.jobs import BenchmarkRequest
from contract.results import BenchmarkResult
from contract.specs import BenchmarkSpec, Hint

Bare = dict[str, tuple[float, float]]
"""Frames per second and median in milliseconds by setting."""

F32 = "INFERENCE_PRECISION_HINT=f32"


def settings(runtime: str, cores: int) -> dict[str, list[str]]:
    """Streams, threads and properties by name."""
    one, all_cores = ["1", str(cores)], [str(cores), "1"]
    if runtime != "openvino":
        return {f"1 x {cores} threads": one, f"{cores} x 1 thread": all_cores}
    unpinned = ["ENABLE_CPU_PINNING=NO", F32]
    return {
        "LATENCY": [*one, "PERFORMANCE_HINT=LATENCY", F32],
        "THROUGHPUT": [*all_cores, "PERFORMANCE_HINT=THROUGHPUT", F32],
        f"1 x {cores} threads, unpinned": [*one, "NUM_STREAMS=1", f"INFERENCE_NUM_THREADS={cores}", *unpinned],
        f"{cores} x 1 thread, unpinned": [
            *all_cores,
            f"NUM_STREAMS={cores}",
            f"INFERENCE_NUM_THREADS={cores}",
            *unpinned,
        ],
    }


def main() -> None:
    """Measure and print."""
    arguments = alternation(__doc__)
    cores, rows = len(os.sched_getaffinity(0)), []
    with agent_with_model() as (running, model):
        for runtime in ("litert", "openvino"):
            ratios: dict[Hint, list[float]] = defaultdict(list)
            for number in range(arguments.rounds):
                bare = {
                    name: _bare(runtime, str(model.model), arguments.seconds, options)
                    for name, options in settings(runtime, cores).items()
                }
                for hint in Hint:
                    result = _job(running, runtime, hint, arguments.seconds)
                    ratio, best = _held_against(result, hint, bare)
                    ratios[hint].append(ratio)
                    rows.append(_row(runtime, hint, number, result, ratio, best))
            for hint, values in ratios.items():
                rows.append([runtime, hint, "median", "", "", "", "", f"{statistics.median(values):.3f}", ""])
    print(table(["runtime", "hint", "round", "streams", "threads", "fps", "p50 ms", "ratio", "best bare loop"], rows))


def _row(runtime: str, hint: Hint, number: int, result: BenchmarkResult, ratio: float, best: str) -> list[str]:
    assert result.latency is not None
    assert result.fps is not None
    measured = [f"{result.fps:.1f}", f"{result.latency.p50_ms:.2f}", f"{ratio:.3f}"]
    return [runtime, hint, str(number + 1), str(result.streams), str(result.threads), *measured, best]


def _held_against(result: BenchmarkResult, hint: Hint, bare: Bare) -> tuple[float, str]:
    """Ratio to the best bare loop, above 1 when the job is better, and what the best one was."""
    assert result.latency is not None
    assert result.fps is not None
    if hint is Hint.THROUGHPUT:
        name = max(bare, key=lambda each: bare[each][0])
        return result.fps / bare[name][0], f"{name}: {bare[name][0]:.1f} fps"
    name = min(bare, key=lambda each: bare[each][1])
    return bare[name][1] / result.latency.p50_ms, f"{name}: {bare[name][1]:.2f} ms"


def _bare(runtime: str, model: str, seconds: float, options: list[str]) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.bare_streams", runtime, model, str(seconds), *options]
    fps, p50_ms = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    return fps, p50_ms


def _job(running: BenchmarkedAgent, runtime: str, hint: Hint, seconds: float) -> BenchmarkResult:
    spec = BenchmarkSpec(runtime=runtime, device="CPU", hint=hint, duration_s=seconds)
    result = wait_for_job(running.host, BenchmarkRequest(spec=spec))
    assert isinstance(result, BenchmarkResult)
    return result


if __name__ == "__main__":
    main()

"""Does a job on OpenVINO measure what OpenVINO's own benchmark_app measures, on the same model and settings?

Alternating runs: one inference at a time on one thread (median latency), and one stream a core (frames per second).
`-inference_only false` makes benchmark_app set its input for each inference, as a job does. Aim: within 3 %.
"""

import os
import re
import statistics
import subprocess
from dataclasses import dataclass

from benchmarks.common import BIN, BenchmarkedAgent, agent_with_model, alternation, table, wait_for_job
from contract.devices import Precision
from contract.jobs import BenchmarkRequest
from contract.results import BenchmarkResult
from contract.specs import BenchmarkSpec


@dataclass(frozen=True)
class Setting:
    """The same for both."""

    name: str
    streams: int
    api: str


def main() -> None:
    """Measure and print."""
    arguments = alternation(__doc__)
    cores, rows = len(os.sched_getaffinity(0)), []
    with agent_with_model() as (running, model):
        for setting in (Setting("1 stream", 1, "sync"), Setting(f"{cores} streams", cores, "async")):
            fps_ratios, p50_ratios = [], []
            for number in range(arguments.rounds):
                fps, p50_ms = _benchmark_app(str(model.model), setting, arguments.seconds)
                job_fps, job_p50_ms = _job(running, setting, arguments.seconds)
                fps_ratios.append(job_fps / fps)
                p50_ratios.append(job_p50_ms / p50_ms)
                rates = [f"{fps:.1f}", f"{job_fps:.1f}", f"{fps_ratios[-1]:.3f}"]
                latencies = [f"{p50_ms:.2f}", f"{job_p50_ms:.2f}", f"{p50_ratios[-1]:.3f}"]
                rows.append([setting.name, number + 1, *rates, *latencies])
            medians = [f"{statistics.median(ratios):.3f}" for ratios in (fps_ratios, p50_ratios)]
            rows.append([setting.name, "median", "", "", medians[0], "", "", medians[1]])
    head = ["setting", "run", "benchmark_app fps", "job fps", "ratio", "benchmark_app p50 ms", "job p50 ms", "ratio"]
    print(table(head, rows))


def _benchmark_app(model: str, setting: Setting, seconds: int) -> tuple[float, float]:
    """Frames per second and median latency in milliseconds, as it prints them."""
    tuned = ["-hint", "none", "-nstreams", setting.streams, "-nireq", setting.streams, "-nthreads", setting.streams]
    fixed = ["-pin", "NO", "-infer_precision", "f32", "-inference_only", "false", "-api", setting.api, "-t", seconds]
    command = [str(BIN / "benchmark_app"), "-m", model, "-d", "CPU", *map(str, (*tuned, *fixed))]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    fps, p50 = (re.search(pattern, printed) for pattern in (r"Throughput:\s+([\d.]+) FPS", r"Median:\s+([\d.]+) ms"))
    assert fps is not None
    assert p50 is not None
    return float(fps[1]), float(p50[1])


def _job(running: BenchmarkedAgent, setting: Setting, seconds: int) -> tuple[float, float]:
    spec = BenchmarkSpec(
        runtime="openvino",
        device="CPU",
        threads=1,
        streams=setting.streams,
        precision=Precision.F32,
        duration_s=seconds,
    )
    result = wait_for_job(running.host, BenchmarkRequest(spec=spec))
    assert isinstance(result, BenchmarkResult)
    assert result.latency is not None
    assert result.fps is not None
    return result.fps, result.latency.p50_ms


if __name__ == "__main__":
    main()

"""Does a benchmark job measure what a bare loop over the same runtime measures? Alternating runs, one ratio each.

The job's median inference time against the median of set, invoke, get in a fresh process. Aim: within 3 %.
"""

import argparse
import statistics
import subprocess
import sys

from benchmarks.common import BenchmarkedAgent, Supplied, agent, push, supplied, table, wait_for_job
from contract.jobs import BenchmarkRequest
from contract.results import BenchmarkResult
from contract.specs import BenchmarkSpec


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runtime", default="litert")
    arguments = parser.parse_args()
    model = supplied()
    rows, ratios = [], []
    with agent() as running:
        push(running.host, model)
        for number in range(arguments.runs):
            bare_ms = _bare(model, arguments)
            job_ms, verdict = _job(running, model, arguments)
            ratios.append(job_ms / bare_ms)
            rows.append([str(number + 1), f"{bare_ms:.3f}", f"{job_ms:.3f}", f"{ratios[-1]:.3f}", verdict])
    print(table(["run", "bare loop p50 ms", "job p50 ms", "ratio", "verdict"], rows))
    print(f"\nmedian ratio {statistics.median(ratios):.3f}")


def _bare(model: Supplied, arguments: argparse.Namespace) -> float:
    options = [arguments.runtime, str(model.model), str(arguments.iterations), str(arguments.threads)]
    command = [sys.executable, "-m", "benchmarks.bare_invoke", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _job(running: BenchmarkedAgent, model: Supplied, arguments: argparse.Namespace) -> tuple[float, str]:
    spec = BenchmarkSpec(
        model=model.pulled.entry.name,
        runtime=arguments.runtime,
        threads=arguments.threads,
        iterations=arguments.iterations,
    )
    result = wait_for_job(running.host, BenchmarkRequest(spec=spec))
    assert isinstance(result, BenchmarkResult)
    assert result.latency is not None
    reasons = ", ".join(reason.code for reason in result.validity.reasons)
    return result.latency.p50_ms, f"{result.validity.verdict} {reasons}".strip()


if __name__ == "__main__":
    main()

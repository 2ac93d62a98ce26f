"""Triton's own load generator against an agent, over both transports, single and in batches.

Its binary comes with `pip install perf-analyzer` where the system's C library is new enough (glibc 2.38, of Debian 13
or Ubuntu 24.04); `EDGERUN_PERF_ANALYZER` names another one, such as a script that brings its own libraries.
"""

import json
import os
import shutil
import subprocess

import pytest

from tests.server.openinference.conftest import DIGITS, Served

VARIABLE = "EDGERUN_PERF_ANALYZER"


@pytest.fixture(scope="module")
def perf_analyzer() -> str:
    """The command; skips where it does not run, with what it said."""
    command = os.environ.get(VARIABLE) or shutil.which("perf_analyzer")
    if command is None:
        pytest.skip(f"perf_analyzer is not installed: pip install perf-analyzer, or set {VARIABLE}")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=30)
    if done.returncode:
        pytest.skip(f"perf_analyzer does not run here: {done.stderr.strip().splitlines()[-1:]}")
    return command


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_perf_analyzer_measures_an_agent(served: Served, perf_analyzer: str, protocol: str, batch: int) -> None:
    """It reads metadata, configuration and statistics, infers, and finds the server's own figures next to its own."""
    address = served.http_address if protocol == "http" else served.grpc_address
    report = served.agent.data / f"perf-{protocol}-{batch}.json"
    stable = ["--stability-percentage", "999", "--measurement-interval", "500"]
    command = [perf_analyzer, "-m", DIGITS, "-u", address, "-i", protocol, "-b", str(batch), *stable]
    done = subprocess.run(
        [*command, "--concurrency-range", "2", "--profile-export-file", str(report)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Throughput:" in done.stdout
    assert "compute infer" in done.stdout  # what the statistics extension tells
    experiment = json.loads(report.read_text())["experiments"][0]
    assert len(experiment["requests"]) > 10

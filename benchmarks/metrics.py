"""What counting costs a request, and what a scrape costs the event loop.

The first table has the CPU time of one request counted by the agent and by prometheus-client's own classes; the
second one, of an agent with 10 models that were asked on two runtimes, the CPU time of one scrape.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram

from benchmarks.common import table
from server.agent import Agent
from server.app import create_app
from server.metrics.durations import BUCKETS_S
from server.metrics.exposition import _encode, _others, _Snapshot
from server.metrics.families import copied, present
from server.metrics.inferences import InferenceLog
from server.metrics.requests import RequestLog
from server.settings import Settings
from server.workers.pools import Pools

STAGES = {
    "queue": 0.2,
    "load": None,
    "decode": 8.9,
    "preprocess": 2.3,
    "inference": 2.4,
    "postprocess": 0.2,
    "total": 15,
}
MODELS = 10
RUNTIMES = ("litert", "openvino")
PATH = "/v1/models/mobilenet_v2_1.0_224_quant/classify"


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20_000)
    parser.add_argument("--scrapes", type=int, default=200)
    arguments = parser.parse_args()
    ways = {
        "inference and its stages": _own_inference(),
        "HTTP answer": _own_answer(),
        "both, by prometheus-client": _library(),
    }
    rows = [[name, f"{_microseconds(way, arguments.times):.2f}"] for name, way in ways.items()]
    print(table(["counted", "us a request"], rows))
    with tempfile.TemporaryDirectory() as folder:
        print(table(["a scrape", "median ms", "most ms"], asyncio.run(_scrapes(Path(folder), arguments.scrapes))))


def _microseconds(way: Callable[[], None], times: int) -> float:
    """CPU time, the least of several stretches: what else runs on the machine only adds to it."""
    found = []
    for _ in range(20):
        began_s = time.thread_time()
        for _ in range(times // 20):
            way()
        found.append((time.thread_time() - began_s) / (times // 20) * 1e6)
    return min(found)


def _own_inference() -> Callable[[], None]:
    log = InferenceLog(lambda name: True)

    def count() -> None:
        with log.request("mobilenet_v2_1.0_224_quant", "classification") as counted:
            counted.arrived(200_000)
            counted.executed("litert", STAGES)

    return count


def _own_answer() -> Callable[[], None]:
    log = RequestLog()
    for template in ("/v1/models/{name}", "/v1/jobs/{id}", "/v1/models/{name}/classify"):
        log.add_route(template, ["POST"])
    return lambda: log.observe("POST", PATH, 200, 15_000_000)


def _library() -> Callable[[], None]:
    """The same figures by the library's classes, with the children of each family at hand."""
    registry = CollectorRegistry()
    labels = ("model", "task", "runtime", "stage")
    stages = Histogram("stage_seconds", "", labels, buckets=BUCKETS_S, registry=registry)
    whole = Histogram("request_seconds", "", labels[:2], buckets=BUCKETS_S, registry=registry).labels("m", "c")
    counters = [Counter(name, "", ("a",), registry=registry).labels("b") for name in ("r", "i", "e", "h")]
    answer = Histogram("http_seconds", "", ("route",), buckets=BUCKETS_S, registry=registry).labels("r")
    children = {stage: stages.labels("m", "c", "litert", stage) for stage in STAGES}

    def count() -> None:
        for stage, duration_ms in STAGES.items():
            if duration_ms is not None and stage != "total":
                children[stage].observe(duration_ms / 1e3)
        whole.observe(0.015)
        answer.observe(0.015)
        for counter in counters:
            counter.inc()

    return count


async def _scrapes(data: Path, scrapes: int) -> list[list[str]]:
    agent = Agent(Settings.from_env({"EDGERUN_DATA": str(data)}), Pools(Settings(data=data)), None)
    create_app(agent)
    _fill(agent)
    sample = await agent.telemetry.fresh(10.0)
    collecting, encoding = [], []
    for _ in range(scrapes):
        began = time.thread_time()
        few, counts = present(agent), copied(agent)
        collecting.append((time.thread_time() - began) * 1e3)
        many, making_s = _others(counts, sample)
        body, encoding_s = _encode(_Snapshot([*few, *many]), openmetrics=True, compressed=True)
        encoding.append((making_s + encoding_s) * 1e3)
    await agent.telemetry.stop()
    lines = sum(len(family.samples) for family in (*few, *many))
    return [
        ["on the event loop", f"{statistics.median(collecting):.2f}", f"{max(collecting):.2f}"],
        [f"in a thread beside it ({lines} series, {len(body)} bytes)", f"{statistics.median(encoding):.2f}",
         f"{max(encoding):.2f}"],
    ]  # fmt: skip


def _fill(agent: Agent) -> None:
    agent.inferences = InferenceLog(lambda name: True)
    for number in range(MODELS):
        with agent.inferences.request(f"model-{number}", "classification") as counted:
            for runtime in RUNTIMES:
                counted.executed(runtime, STAGES)
    for status in (200, 400, 404, 503):
        agent.requests.observe("POST", PATH, status, 15_000_000)
        agent.requests.observe("GET", "/v1/jobs", status, 1_000_000)


if __name__ == "__main__":
    main()

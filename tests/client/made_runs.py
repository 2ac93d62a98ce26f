"""Runs that were never measured, for the pure functions that work on them."""

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from client.analysis.runs import Entry, Run
from contract.jobs import BenchmarkRequest, Job, JobState
from contract.results import BatchMode, BenchmarkResult, Conditions, LatencySummary, Window
from contract.specs import BenchmarkSpec
from contract.validity import CheckCode, Finding, Validity, Verdict

CONDITIONS = Conditions(
    device_name="made",
    device_type=None,
    machine="aarch64",
    cpu_model="Cortex-A72",
    kernel="6.1",
    python="3.11",
    agent_version="0.1.0",
    agent_revision=None,
    cpus_allowed=4,
    memory_allowed_bytes=None,
    governor="ondemand",
    load_average_before=0.1,
    cpu_temperature_before_celsius=50.0,
    cpu_temperature_after_celsius=60.0,
)


def samples_around(center_ms: float, count: int, seed: int = 0, width: float = 0.02) -> list[float]:
    """Latencies that scatter a little."""
    chance = random.Random(seed)
    return [center_ms * (1 + width * chance.uniform(-1, 1)) for _ in range(count)]


def made_result(
    spec: BenchmarkSpec, samples: Sequence[float], verdict: Verdict = Verdict.OK, **fields: Any
) -> BenchmarkResult:
    """A result with these latencies and this verdict."""
    ordered = sorted(samples)
    fps = spec.batch * 1000 / median(ordered)
    reasons = [Finding(code=CheckCode.DRIFT, verdict=verdict, detail="it drifted")] if verdict is not Verdict.OK else []
    latency = LatencySummary(
        count=len(ordered),
        mean_ms=sum(ordered) / len(ordered),
        std_ms=0.1,
        min_ms=ordered[0],
        p50_ms=median(ordered),
        p90_ms=ordered[int(0.9 * len(ordered))],
        p95_ms=None,
        p99_ms=None,
        max_ms=ordered[-1],
        median_interval_ms=(ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]),
        unsupported={"p99": "needs 662 samples"},
    )
    values: dict[str, Any] = {
        "complete": True,
        "spec": spec,
        "model": "made",
        "model_digest": "sha256:" + "1" * 64,
        "runtime": spec.runtime or "litert",
        "runtime_version": "2.0",
        "device": "CPU",
        "delegate": None,
        "threads": spec.threads or 1,
        "streams": spec.streams or 1,
        "batch": spec.batch,
        "batch_mode": BatchMode.NATIVE,
        "load_ms": 10.0,
        "first_inference_ms": 5.0,
        "first_inference_latency_ms": 15.0,
        "warm_up_ms": [],
        "iterations": len(ordered),
        "frames": len(ordered) * spec.batch,
        "duration_s": sum(ordered) / 1000,
        "fps": fps,
        "latency": latency,
        "samples_ms": list(samples),
        "windows": [
            Window(start_s=n, end_s=n + 1, iterations=10, fps=fps * (1 + n / 1000), p50_ms=1, max_ms=2)
            for n in range(8)
        ],
        "probe": None,
        "conditions": CONDITIONS,
        "validity": Validity(verdict=verdict, reasons=reasons, checked=[CheckCode.DRIFT], not_checkable={}),
    }
    return BenchmarkResult(**(values | fields))


def made_entry(
    samples: Sequence[float] | None,
    verdict: Verdict = Verdict.OK,
    host: str = "edge1",
    state: JobState = JobState.SUCCEEDED,
    repeat: int = 0,
    fields: dict[str, Any] | None = None,
    **spec: Any,
) -> Entry:
    """A job of a run that has ended."""
    request = BenchmarkRequest(spec=BenchmarkSpec(**spec))
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    job = Job(id=uuid.uuid4().hex[:16], number=1, request=request, state=state, created_at=now)
    result = made_result(request.spec, samples, verdict, **(fields or {})) if samples is not None else None
    return Entry(host=host, repeat=repeat, key=uuid.uuid4().hex, request=request, job=job, result=result)


def made_run(*entries: Entry, name: str = "made") -> Run:
    """A run of these jobs."""
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Run(created_at=now, name=name, client_version="0.1.0", entries=list(entries))

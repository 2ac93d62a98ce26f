"""What the agent counts and is, as metric families of prometheus-client.

What is few is made on the event loop's thread, to which the agent's parts belong: `present` and `copied`. The rest, a
thousand series and more, is made of copies elsewhere: `counted`. Nothing here reads a sensor or waits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from contract.codes import ErrorCode
from contract.jobs import JobState
from contract.telemetry import MetricKind, TelemetrySample
from server import __version__
from server.jobs.kinds import KNOWN
from server.metrics.durations import BUCKETS_S, NANO, Durations
from server.metrics.inferences import ModelRecord
from server.metrics.observed import Observed

PREFIX = "edgerun_"
MODELS_MAX = 100
"""Models with series of their own; the others count together."""
OTHERS = "(others)"
"""No model can have this name."""
BOUNDS = (*map(floatToGoString, BUCKETS_S), "+Inf")
EXITS = (ErrorCode.WORKER_LOST, ErrorCode.WORKER_TIMEOUT, ErrorCode.WORKER_OUT_OF_MEMORY)
UNITS = frozenset({"celsius", "ratio", "hertz", "bytes", "seconds", "watts", "joules", "amperes", "volts"})

Rows = Iterable[tuple[Sequence[str], float]]


@dataclass(frozen=True)
class Counts:
    """What was counted up to one moment."""

    records: list[ModelRecord]
    answers: Mapping[tuple[str, str, int], int]
    durations: Mapping[tuple[str, str], Durations]


def present(agent: Observed) -> list[Metric]:
    """How the agent is just now."""
    return [*_agent(agent), *_models(agent), *_serving(agent), *_jobs(agent)]


def copied(agent: Observed) -> Counts:
    """What the agent has counted, as it is just now."""
    requests = agent.requests
    durations = {key: durations.copy() for key, durations in requests.durations.items()}
    return Counts(agent.inferences.records(), dict(requests.answers), durations)


def counted(counts: Counts, sample: TelemetrySample | None) -> list[Metric]:
    """What was counted, and the device's sensors where there is a sample of them; may be called in any thread."""
    inferences = _inferences(_with_others(counts.records))
    return [*_requests(counts), *inferences, *(_sensors(sample) if sample is not None else ())]


def _gauge(name: str, text: str, labels: Sequence[str], rows: Rows, unit: str = "") -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels, unit=unit)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _counter(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _histogram(name: str, text: str, labels: Sequence[str], rows: Iterable[tuple[Sequence[str], Durations]]) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, text, labels=labels, unit="seconds")
    for values, durations in rows:
        buckets = list(zip(BOUNDS, map(float, accumulate(durations.counts)), strict=True))
        family.add_metric(values, buckets=buckets, sum_value=durations.sum_ns * NANO)
    return family


def _one(name: str, text: str, value: float, unit: str = "") -> Metric:
    return _gauge(name, text, (), [((), value)], unit)


def _agent(agent: Observed) -> Iterator[Metric]:
    settings = agent.settings
    build = {"version": __version__, "runtime": settings.runtime, **agent.device_labels}
    yield _gauge("build_info", "The agent program and the device it runs on.", list(build), [(list(build.values()), 1)])
    yield _one("ready", "Whether a picture sent now would be answered at once.", agent.ready)
    yield _one("storage_full", "Whether there is too little room on the disk for anything new.", agent.room.is_full)
    left_s = agent.jobs.lease.now.left_s
    if left_s is not None:
        yield _one("lease_left_seconds", "Time until the lease of the device ends.", left_s, "seconds")


def _requests(counts: Counts) -> Iterator[Metric]:
    yield _counter(
        "http_requests",
        "HTTP requests answered, by the template of their path; what is not of this API is `other`.",
        ("method", "route", "status"),
        (((method, route, str(status)), n) for (method, route, status), n in counts.answers.items()),
    )
    yield _histogram(
        "http_request_duration_seconds",
        "Time from a request's headers until its answer began, of answers that are no errors.",
        ("method", "route"),
        counts.durations.items(),
    )


def _with_others(records: list[ModelRecord]) -> list[ModelRecord]:
    """The records with series of their own, and one more for those beyond."""
    records.sort(key=lambda record: (record.model, record.task))
    others: dict[str, ModelRecord] = {}
    for record in records[MODELS_MAX:]:
        others.setdefault(record.task, ModelRecord(OTHERS, record.task)).add(record)
    return [*records[:MODELS_MAX], *others.values()]


def _inferences(records: list[ModelRecord]) -> Iterator[Metric]:
    yield _counter(
        "inference_requests",
        "Requests to a model: success, partial, cancelled, or the code of their error.",
        ("model", "task", "outcome"),
        (((each.model, each.task, outcome), n) for each in records for outcome, n in each.outcomes.items()),
    )
    done = [(each, runtime, executions) for each in records for runtime, executions in each.runtimes.items()]
    by_runtime = ("model", "task", "runtime")
    yield _counter(
        "inferences",
        "Inputs that a model answered: a batch of eight counts eight.",
        by_runtime,
        (((each.model, each.task, runtime), executions.inferences) for each, runtime, executions in done),
    )
    yield _counter(
        "inference_executions",
        "Runs of a model: a batch counts one.",
        by_runtime,
        (((each.model, each.task, runtime), executions.executions) for each, runtime, executions in done),
    )
    yield _histogram(
        "inference_stage_seconds",
        "Time of each stage of an execution: queue, load, decode, preprocess, inference, postprocess, suppression.",
        (*by_runtime, "stage"),
        (
            ((each.model, each.task, runtime, stage), durations)
            for each, runtime, executions in done
            for stage, durations in executions.stages.items()
        ),
    )
    yield _histogram(
        "inference_request_seconds",
        "Time of an answered request, from its place in the queue and the last byte of its input to its answer.",
        ("model", "task"),
        (((each.model, each.task), each.answered) for each in records),
    )


def _models(agent: Observed) -> Iterator[Metric]:
    held = [agent.registry.describe(model) for model in agent.store]
    default = agent.store.default.description.name
    yield _one("models", "Models the agent holds.", len(held))
    yield _gauge(
        "model_info",
        "A model: its digest and format, and whether it answers requests that name none.",
        ("model", "task", "digest", "format", "default"),
        (
            ((each.name, each.task, each.digest, each.format, str(each.name == default).lower()), 1)
            for each in held[:MODELS_MAX]
        ),
    )
    yield _gauge(
        "model_load_seconds",
        "Time a runtime took to load a model when it was tried.",
        ("model", "runtime"),
        (
            ((each.name, runtime), check.load_ms / 1e3)
            for each in held[:MODELS_MAX]
            for runtime, check in each.runtimes.items()
            if check.load_ms is not None
        ),
        "seconds",
    )


def _serving(agent: Observed) -> Iterator[Metric]:
    admission, pools = agent.pools.admission, agent.pools.running()
    yield _one("queue_depth", "Requests that wait for their turn.", admission.waiting)
    yield _one("queue_limit", "Requests that may wait before new ones are refused.", agent.settings.queue)
    yield _one("requests_in_flight", "Requests whose input is here or on its way, unanswered.", admission.admitted)
    yield _one("measuring", "Whether a job has the device for itself.", agent.pools.gate.busy)
    ready = {name: sum(worker.ready for worker in pool.workers) for name, pool in pools.items()}
    yield _gauge(
        "workers",
        "Worker processes, by whether they can take a request.",
        ("runtime", "state"),
        (
            ((name, state), count)
            for name, pool in pools.items()
            for state, count in (("ready", ready[name]), ("starting", len(pool.workers) - ready[name]))
        ),
    )
    yield _one("workers_wanted", "Worker processes a runtime is to have.", agent.settings.worker_count)
    yield _counter(
        "worker_restarts",
        "Workers that ended and were replaced: lost, out of time, out of memory.",
        ("runtime", "reason"),
        (
            ((name, reason), pool.exits[reason])
            for name, pool in pools.items()
            for reason in dict.fromkeys((*EXITS, *pool.exits))
        ),
    )


def _jobs(agent: Observed) -> Iterator[Metric]:
    tally = agent.jobs.tally
    yield _gauge(
        "jobs",
        "Jobs in the list.",
        ("state",),
        (((state,), tally.counts.get(state, 0)) for state in JobState),
    )
    outcomes = [(kind, state) for kind in KNOWN for state in JobState if state.ended]
    yield _counter(
        "jobs_ended",
        "Jobs that ended since the agent started.",
        ("kind", "outcome"),
        ((outcome, tally.ended.get(outcome, 0)) for outcome in outcomes),
    )
    yield _one("jobs_stored_bytes", "What ended jobs left on the disk.", tally.stored_bytes, "bytes")


def _sensors(sample: TelemetrySample) -> Iterator[Metric]:
    """The series of a sample that have a value; a sensor that is not there has none, and no series."""
    yield _one(
        "telemetry_sample_timestamp_seconds",
        "Unix time of the newest sample of the device's sensors.",
        sample.at.timestamp(),
        "seconds",
    )
    found: dict[str, Metric] = {}
    for key, value in sample.values.items():
        if value is None:
            continue
        info = sample.info[key]
        family = found.get(info.metric)
        if family is None:
            family = found[info.metric] = _sensor(info.metric, info.unit, info.kind)
        family.add_sample(PREFIX + info.metric, _text(info.labels), value)
    yield from found.values()


def _sensor(metric: str, unit: str, kind: MetricKind) -> Metric:
    counter = kind is MetricKind.COUNTER
    name = PREFIX + (metric.removesuffix("_total") if counter else metric)
    told = unit if unit in UNITS and name.endswith(f"_{unit}") else ""
    text = "Newest sample of the device's sensors."
    return Metric(name, text, "counter" if counter else "gauge", told)


def _text(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels as text that can be sent: the kernel's names may hold bytes that are none."""
    return {name: value.encode(errors="replace").decode() for name, value in labels.items()}

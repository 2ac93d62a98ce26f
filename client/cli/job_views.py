"""Jobs as people and programs see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from client.cli.bench_view import VERDICT_STYLE
from client.console import plain_table
from client.durations import format_duration
from client.sdk.hosts import Host
from contract.jobs import BenchmarkRequest, Job, JobState, JobStatus, JobSummary, ProfileRequest
from contract.results import AnyResult, BenchmarkResult, CommandResult
from contract.specs import label
from contract.validity import Validity

LETTERS = {
    JobState.QUEUED: "Q",
    JobState.RUNNING: "R",
    JobState.SUCCEEDED: "C",
    JobState.FAILED: "F",
    JobState.CANCELLED: "X",
    JobState.INTERRUPTED: "I",
}
"""Q, R and C as in PBS; the others end a job that PBS would show as completed too."""
STATE_STYLE = {
    JobState.RUNNING: "bold",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "bold red",
    JobState.CANCELLED: "yellow",
    JobState.INTERRUPTED: "bold red",
}


AnyJob = Job | JobSummary


@dataclass(frozen=True)
class Listed:
    """A job in a list."""

    host: Host
    job: AnyJob


def state_text(state: JobState) -> Text:
    """The one clear word."""
    return Text(state.value, STATE_STYLE.get(state, ""))


def job_name(job: AnyJob) -> str:
    """The job's name, or what it does."""
    return job.name or job.title


def progress_text(job: JobStatus) -> str:
    """How far it is, or how long it took."""
    if job.state is JobState.QUEUED:
        return f"{job.position} before it" if job.position else "next"
    progress = job.progress
    if job.state is JobState.RUNNING and progress is not None:
        share = f" {100 * progress.done / progress.total:.0f} %" if progress.total else ""
        fps = f" {progress.fps:.1f} fps" if progress.fps is not None else ""
        heat = progress.cpu_temperature_celsius
        return f"{progress.phase}{share}{fps}" + (f" {heat:.0f} °C" if heat is not None else "")
    if job.started_at is not None and job.ended_at is not None:
        return "took " + format_duration((job.ended_at - job.started_at).total_seconds())
    return ""


def age_text(job: JobStatus) -> str:
    """Time since it was submitted, by this machine's clock."""
    return format_duration(max(0.0, (datetime.now(UTC) - job.created_at).total_seconds()))


def jobs_table(listed: Sequence[Listed]) -> RenderableType:
    """A row a job."""
    table = plain_table("id", "host", "", "state", "name", "kind", "progress", "age", "verdict", right=("age",))
    for each in listed:
        job = each.job
        verdict = Text(job.verdict, VERDICT_STYLE[job.verdict]) if job.verdict else Text()
        if job.evicted:
            verdict.append(" (removed)")
        table.add_row(*_beginning(each), job.kind, Text(progress_text(job)), age_text(job), verdict)
    return table


def queue_table(listed: Sequence[Listed]) -> RenderableType:
    """A row a job, for a live view as narrow as a terminal: names and progress go over several lines."""
    table = plain_table("id", "host", "", "state", "name", "progress", "age", right=("age",))
    for column in table.columns[4:6]:
        column.no_wrap, column.overflow = False, "fold"
    for each in listed:
        table.add_row(*_beginning(each), Text(progress_text(each.job)), age_text(each.job))
    return table


def _beginning(each: Listed) -> tuple[Text | str, ...]:
    job = each.job
    return Text(job.id), Text(each.host.name), LETTERS[job.state], state_text(job.state), Text(job_name(job))


def job_row(each: Listed) -> dict[str, Any]:
    """A job as a row of plain values."""
    job, progress = each.job, each.job.progress
    return {
        "id": job.id,
        "number": job.number,
        "host": each.host.name,
        "state": job.state.value,
        "letter": LETTERS[job.state],
        "name": job_name(job),
        "kind": job.kind,
        "position": job.position,
        "phase": progress.phase if progress else None,
        "done": progress.done if progress else None,
        "total": progress.total if progress else None,
        "created_at": job.created_at.isoformat(),
        "started_at": job.started_at.isoformat() if job.started_at else None,
        "ended_at": job.ended_at.isoformat() if job.ended_at else None,
        "error": job.error.detail if job.error else None,
        "stored_bytes": job.stored_bytes,
        "evicted": job.evicted,
        "verdict": each.job.verdict.value if each.job.verdict else None,
    }


def job_view(host: Host, job: Job, result: AnyResult | None) -> RenderableType:
    """One job in detail."""
    facts: dict[str, Any] = {
        "id": job.id,
        "host": host.name,
        "name": job_name(job),
        "kind": job.kind,
        "state": f"{job.state} ({LETTERS[job.state]})",
        "progress": progress_text(job),
        "submitted": f"{job.created_at:%Y-%m-%d %H:%M:%S %Z}, {age_text(job)} ago",
        "attempts": job.attempts if job.attempts > 1 else None,
        "priority": job.request.priority or None,
        "error": f"{job.error.code}: {job.error.detail}" if job.error else None,
        "stored": f"{job.stored_bytes / 1e6:.2f} MB" if job.stored_bytes else None,
        "evicted": "result, logs, telemetry and artefacts were removed to stay within the quota"
        if job.evicted
        else None,
        **_spec_facts(job),
    }
    if result is not None:
        facts |= _result_facts(result)
    table = plain_table("", "")
    table.show_header = False
    for name, value in facts.items():
        if value not in (None, ""):
            table.add_row(name, Text(str(value)))
    return Group(table, *(_validity_lines(result.validity) if result is not None else []))


def _spec_facts(job: Job) -> dict[str, Any]:
    request = job.request
    if isinstance(request, BenchmarkRequest):
        return {"measures": f"{request.spec.model or 'default model'}, {label(request.spec)}"}
    if isinstance(request, ProfileRequest):
        return {"profiles": f"{request.spec.model or 'default model'}, {request.spec.iterations} iterations"}
    return {"command": " ".join(request.spec.argv)}


def _result_facts(result: AnyResult) -> dict[str, Any]:
    if isinstance(result, BenchmarkResult):
        return _benchmark_facts(result)
    if isinstance(result, CommandResult):
        return _command_facts(result)
    return {"operators": f"{len(result.operators)}; `client profile` shows them, and `client jobs results` saves them"}


def _benchmark_facts(result: BenchmarkResult) -> dict[str, Any]:
    latency = result.latency
    facts: dict[str, Any] = {
        "model": f"{result.model} ({result.model_digest[:19]})",
        "ran on": f"{result.runtime} {result.runtime_version} on {result.device}, {result.threads} threads, "
        f"{result.streams} streams, batch {result.batch} ({result.batch_mode})",
        "batch": result.batch_detail,
        "complete": None if result.complete else "no: it was cut off",
        "load": f"{result.load_ms:.2f} ms",
        "first inference": f"{result.first_inference_ms:.2f} ms",
        "iterations": f"{result.iterations} in {result.duration_s:.2f} s",
        "fps": None if result.fps is None else f"{result.fps:.1f}",
    }
    if latency is not None:
        names = ("min", "p50", "p90", "p95", "p99", "max", "mean", "std")
        known = [(name, getattr(latency, f"{name}_ms")) for name in names]
        facts["latency"] = ", ".join(f"{name} {value:.2f} ms" for name, value in known if value is not None)
        facts["n/a"] = "; ".join(f"{name}: {why}" for name, why in latency.unsupported.items())
    return facts


def _command_facts(result: CommandResult) -> dict[str, Any]:
    memory = result.max_resident_bytes
    return {
        "exit code": result.exit_code,
        "ended by": result.signal,
        "took": format_duration(result.duration_s),
        "CPU time": None if result.cpu_s is None else format_duration(result.cpu_s),
        "most memory": None if memory is None else f"{memory / 2**20:.0f} MiB",
        "left running": f"{result.left_running} processes, which were ended with it" if result.left_running else None,
        "printed": f"{result.stdout_bytes} bytes to stdout, {result.stderr_bytes} to stderr",
        "artefacts": ", ".join(f"{file.path} ({file.size_bytes} bytes)" for file in result.artifacts),
        "not kept": "; ".join(result.artifacts_left_out) or None,
    }


def _validity_lines(validity: Validity) -> list[Text]:
    lines = [Text.assemble("verdict: ", (validity.verdict, VERDICT_STYLE[validity.verdict]))]
    lines += [Text(f"  {finding.verdict}: {finding.detail}") for finding in validity.reasons]
    if validity.not_checkable:
        lines.append(Text(f"  could not be checked here: {', '.join(validity.not_checkable)}", "dim"))
    return lines

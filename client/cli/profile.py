"""`client profile`: which operators the time of a model goes to."""

import re
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.progress import BarColumn, Progress, TimeElapsedColumn
from rich.text import Text

from client.cli.bench_view import VERDICT_STYLE
from client.cli.lease import say_lease
from client.cli.options import Hosts, OutputForm, Quiet, chosen_one
from client.console import EXIT_INTERRUPTED, EXIT_JOB_FAILED, Output, emit, note, note_console, plain_table, text_column
from client.files.saved import write_text
from client.report.profile_chart import check_chart, write_profile_chart
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from client.sdk.retry import Running
from contract.devices import DEVICE_PATTERN, Precision
from contract.jobs import Job, JobState, ProfileRequest
from contract.results import OperatorProfile, ProfileResult
from contract.specs import DEFAULT_ITERATIONS, PROFILE_ITERATIONS_MAX, Kernels, ProfileMethod, ProfileSpec

POLL_S = 0.3
LEFT = ("operator", "as executed", "output")


def _device(text: str) -> str:
    if not re.match(DEVICE_PATTERN, text.upper()):
        raise typer.BadParameter(f"it takes CPU, GPU, NPU, AUTO or HETERO:GPU,CPU, not {text!r}")
    return text.upper()


def profile(
    host: Hosts = [],  # noqa: B006
    model: Annotated[str | None, typer.Option("--model", "-m", help="Model instead of the default.")] = None,
    runtime: Annotated[str | None, typer.Option(help="Runtime instead of the agent's own choice.")] = None,
    device: Annotated[
        str, typer.Option(help="AUTO, GPU, HETERO:GPU,CPU, ...: see `client devices`.", callback=_device)
    ] = "CPU",
    precision: Annotated[Precision | None, typer.Option(help="Of the arithmetic, if the runtime can choose.")] = None,
    method: Annotated[
        ProfileMethod | None,
        typer.Option(help="native: the runtime's own profiler; single-operator: a model for each operator."),
    ] = None,
    kernels: Annotated[Kernels, typer.Option(help="builtin: without XNNPACK, the file's own operators.")] = (
        Kernels.DEFAULT
    ),
    threads: Annotated[int, typer.Option(min=1, help="Threads of one inference.")] = 1,
    iterations: Annotated[int, typer.Option(min=1, max=PROFILE_ITERATIONS_MAX)] = DEFAULT_ITERATIONS,
    warm_up: Annotated[int, typer.Option(min=0, help="Inferences before the timed ones.")] = 10,
    top: Annotated[int, typer.Option(min=0, help="Operators shown, the slowest; 0 for all in their order.")] = 15,
    chart: Annotated[
        Path | None, typer.Option(help="File for a chart of the slowest operators: .png, .svg or .pdf.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="File for the whole result as JSON.")] = None,
    output: OutputForm = Output.TABLE,
    quiet: Quiet = False,
) -> None:
    """Time every operator of a model on a device.

    Example: client profile --host edge1 --model resnet20-int8 --iterations 10000 --chart resnet20.png
    """
    if chart is not None:
        check_chart(chart)
    each = chosen_one(host)
    spec = ProfileSpec(
        model=model,
        runtime=runtime,
        device=device,
        precision=precision,
        method=method,
        kernels=kernels,
        threads=threads,
        iterations=iterations,
        warm_up_iterations=warm_up,
    )
    job, result = _measured(each, spec, quiet=quiet)
    if save is not None:
        write_text(save, result.model_dump_json(indent=1) + "\n")
    if chart is not None:
        write_profile_chart(chart, result)
    rows = [_row(operator) for operator in result.operators]
    emit(
        output,
        document=lambda: {"host": each.name, "job": job.id, "result": result.model_dump(mode="json")},
        rows=lambda: rows,
        view=lambda: profile_view(result, top),
    )


def _measured(host: Host, spec: ProfileSpec, *, quiet: bool) -> tuple[Job, ProfileResult]:
    """Run the job to its end; ends the program when it is interrupted or the job did not succeed."""
    with EdgeClient(host) as client:
        say_lease(client)
        job = client.submit(ProfileRequest(spec=spec))
        try:
            job = _watched(client, job, quiet=quiet)
        except KeyboardInterrupt:
            note(f"the job goes on: client jobs show {job.id} --host {host.name}")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        if job.state is not JobState.SUCCEEDED:
            note(f"{host.name}: the job is {job.state}" + (f": {job.error.detail}" if job.error else ""))
            raise typer.Exit(EXIT_JOB_FAILED)
        result = client.job_result(job.id)
    assert isinstance(result, ProfileResult)
    return job, result


def _row(operator: OperatorProfile) -> dict[str, Any]:
    shape = operator.output_shape
    return {
        **operator.model_dump(mode="json"),
        "output_shape": None if shape is None else "x".join(map(str, shape)),
    }


def _watched(client: EdgeClient, job: Job, *, quiet: bool) -> Job:
    """Wait for the end of a job, with a bar on a terminal; a moment without an answer is waited out."""
    columns = (text_column("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = note_console()
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(client.host.name, total=None)
        running, request = Running(client.host.name), job.request
        while not job.state.ended:
            time.sleep(POLL_S)
            job = client.job(job.id)
            running.check(job, request)
            if job.progress is not None:
                words = f"{client.host.name}: {job.progress.phase}"
                progress.update(task, description=words, total=job.progress.total, completed=job.progress.done)
    return job


def profile_view(result: ProfileResult, top: int) -> RenderableType:
    """The slowest operators, what they explain, and what the file says."""
    ordered = sorted(result.operators, key=lambda operator: -operator.mean_us) if top else result.operators
    shown = ordered[:top] if top else ordered
    rows = [_cells(operator) for operator in shown]
    if rest := ordered[len(shown) :]:
        mean_us, share = (sum(getattr(each, name) for each in rest) for name in ("mean_us", "share"))
        reached = sum(operator.share for operator in ordered)
        others = {"operator": f"{len(rest)} others", "mean us": f"{mean_us:.1f}", "share": f"{share:.1%}"}
        rows.append({**others, "sum": f"{reached:.1%}"})
    columns = [name for name in rows[0] if any(row.get(name) for row in rows)] if rows else []
    table = plain_table(*columns, right=[name for name in columns if name not in LEFT])
    for row in rows:
        table.add_row(*(Text(row.get(name, "")) for name in columns))
    return Group(*_heading(result), table, *_summary(result))


def _cells(operator: OperatorProfile) -> dict[str, str]:
    shape = "x".join(map(str, operator.output_shape or []))
    executed = operator.kernel or (operator.name if operator.name != operator.kind else "")
    return {
        "#": "-" if operator.operator is None else str(operator.operator),
        "operator": operator.kind or (operator.name if operator.kernel or not operator.delegated else "-"),
        "as executed": executed if operator.kind or operator.delegated else operator.kernel or "",
        "output": f"{shape} {operator.output_dtype or ''}".rstrip() if operator.output_shape else "",
        "mean us": f"{operator.mean_us:.1f}",
        "std": "" if operator.std_us is None else f"{operator.std_us:.1f}",
        "p50": f"{operator.p50_us:.1f}",
        "p95": "" if operator.p95_us is None else f"{operator.p95_us:.1f}",
        "share": f"{operator.share:.1%}",
        "sum": f"{operator.cumulative_share:.1%}",
        "MMAC": "" if not operator.macs else f"{operator.macs / 1e6:.2f}",
        "params": "" if not operator.parameters else str(operator.parameters),
        "weights KiB": "" if not operator.weight_bytes else f"{operator.weight_bytes / 1024:.1f}",
        "output KiB": "" if not operator.activation_bytes else f"{operator.activation_bytes / 1024:.1f}",
        "GFLOP/s": "" if operator.gflops is None else f"{operator.gflops:.1f}",
    }


def _heading(result: ProfileResult) -> list[RenderableType]:
    runtime = f"{result.runtime} {result.runtime_version} on {result.device}"
    precision = f" in {result.precision}" if result.precision else ""
    words = f"{result.model} ({result.model_digest[:19]}), {runtime}{precision}"
    counts = f"{result.threads} thread{'s' * (result.threads > 1)}, {result.iterations} runs"
    lines = [Text(f"{words}, {result.spec.kernels} kernels, {counts}, timed by {result.method}")]
    if result.method_detail:
        lines.append(Text(result.method_detail, "yellow"))
    return [*lines, Text()]


def _summary(result: ProfileResult) -> list[RenderableType]:
    lines = [Text()]
    if result.latency is not None and result.explained is not None and result.unattributed_us is not None:
        plain = "" if result.plain_p50_ms is None else f", {result.plain_p50_ms:.3f} ms without profiling (median)"
        lines.append(Text(f"a run takes {result.latency.mean_ms:.3f} ms (mean){plain}"))
        lines.append(Text(f"the operators explain {result.explained:.1%} of a run, {_remainder(result)}"))
    lines.extend(map(Text, _facts(result)))
    steady = "" if result.latency is None else f", steady {result.latency.p50_ms:.3f} ms (median)"
    lines.append(Text(f"load {result.load_ms:.2f} ms, first inference {result.first_inference_ms:.2f} ms{steady}"))
    verdict = Text.assemble("verdict: ", (result.validity.verdict, VERDICT_STYLE[result.validity.verdict]))
    reasons = [Text(f"  {finding.verdict}: {finding.detail}") for finding in result.validity.reasons]
    return [*lines, verdict, *reasons]


def _remainder(result: ProfileResult) -> str:
    assert result.unattributed_us is not None
    if result.unattributed_us < 0:
        return f"{-result.unattributed_us:.1f} us more: apart they take longer than within the whole"
    return f"{result.unattributed_us:.1f} us are unattributed"


def _facts(result: ProfileResult) -> list[str]:
    lines = []
    if result.macs is not None and result.weight_bytes is not None and result.peak_activation_bytes is not None:
        weights = f"{result.parameters} parameters, {result.weight_bytes / 1e6:.2f} MB of weights"
        lines.append(f"{result.macs / 1e6:.1f} M multiply-accumulates, {weights}")
        least = f"{result.peak_activation_bytes / 1024:.0f} KiB at operator {result.peak_operator}"
        arena = "" if result.arena_bytes is None else f"; arena of the built-in kernels {_kib(result.arena_bytes)}"
        lines.append(f"activations at once: {least}{arena}")
    if result.peak_resident_bytes is not None and result.resident_before_load_bytes is not None:
        before = f"{result.resident_before_load_bytes / 2**20:.0f} MiB before"
        lines.append(
            f"process with the model loaded and run once: {result.peak_resident_bytes / 2**20:.0f} MiB, {before}"
        )
    return lines


def _kib(size_bytes: int) -> str:
    return f"{size_bytes / 1024:.0f} KiB"

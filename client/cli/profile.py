"""`client profile`: which operators the time of a model goes to."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from client.cli.bench_view import VERDICT_STYLE
from client.cli.options import Hosts, OutputForm, Quiet, chosen_one
from client.console import EXIT_INTERRUPTED, EXIT_JOB_FAILED, Output, emit, note, note_console, plain_table
from client.edge_client import EdgeClient
from client.runs import write_text
from contract.jobs import (
    DEFAULT_ITERATIONS,
    PROFILE_ITERATIONS_MAX,
    Job,
    JobState,
    Kernels,
    ProfileRequest,
    ProfileSpec,
)
from contract.results import OperatorProfile, ProfileResult

POLL_S = 0.3
COLUMNS = ("#", "operator", "as executed", "output", "mean us", "std", "share", "sum", "MMAC", "params", "GFLOP/s")
RIGHT = ("#", "mean us", "std", "share", "sum", "MMAC", "params", "GFLOP/s")


def profile(
    host: Hosts = [],  # noqa: B006
    model: Annotated[str | None, typer.Option("--model", "-m", help="Model instead of the default.")] = None,
    kernels: Annotated[Kernels, typer.Option(help="builtin: without XNNPACK, the file's own operators.")] = (
        Kernels.DEFAULT
    ),
    threads: Annotated[int, typer.Option(min=1, help="Threads of one inference.")] = 1,
    iterations: Annotated[int, typer.Option(min=1, max=PROFILE_ITERATIONS_MAX)] = DEFAULT_ITERATIONS,
    warm_up: Annotated[int, typer.Option(min=0, help="Inferences before the timed ones.")] = 10,
    top: Annotated[int, typer.Option(min=0, help="Operators shown, the slowest; 0 for all in their order.")] = 15,
    save: Annotated[Path | None, typer.Option(help="File for the whole result as JSON.")] = None,
    output: OutputForm = Output.TABLE,
    quiet: Quiet = False,
) -> None:
    """Time every operator of a model on a device, with LiteRT's own profiler.

    Example: client profile --host edge1 --model mobilenet_v2_1.0_224_quant --iterations 1000 --top 10
    """
    each = chosen_one(host)
    spec = ProfileSpec(model=model, kernels=kernels, threads=threads, iterations=iterations, warm_up_iterations=warm_up)
    with EdgeClient(each) as client:
        job = client.submit(ProfileRequest(spec=spec))
        try:
            job = _watched(client, job, quiet=quiet)
        except KeyboardInterrupt:
            note(f"the job goes on: client jobs show {job.id} --host {each.name}")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        if job.state is not JobState.SUCCEEDED:
            note(f"{each.name}: the job is {job.state}" + (f": {job.error.detail}" if job.error else ""))
            raise typer.Exit(EXIT_JOB_FAILED)
        result = client.job_result(job.id)
    assert isinstance(result, ProfileResult)
    if save is not None:
        write_text(save, result.model_dump_json(indent=1) + "\n")
    rows = [operator.model_dump(mode="json") for operator in result.operators]
    emit(
        output,
        document=lambda: {"host": each.name, "job": job.id, "result": result.model_dump(mode="json")},
        rows=lambda: rows,
        view=lambda: profile_view(result, top),
    )


def _watched(client: EdgeClient, job: Job, *, quiet: bool) -> Job:
    """Wait for the end of a job, with a bar on a terminal; a moment without an answer is waited out."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    console = note_console()
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(client.host.name, total=None)
        while not job.state.ended:
            time.sleep(POLL_S)
            job = client.job(job.id)
            if job.progress is not None:
                words = f"{client.host.name}: {job.progress.phase}"
                progress.update(task, description=words, total=job.progress.total, completed=job.progress.done)
    return job


def profile_view(result: ProfileResult, top: int) -> RenderableType:
    """The slowest operators, what they explain, and what the file says."""
    ordered = sorted(result.operators, key=lambda operator: -operator.mean_us) if top else result.operators
    shown = ordered[:top] if top else ordered
    table = plain_table(*COLUMNS, right=RIGHT)
    reached = 0.0
    for operator in shown:
        reached += operator.share
        table.add_row(*_cells(operator, reached))
    if rest := ordered[len(shown) :]:
        mean_us = sum(operator.mean_us for operator in rest)
        share = sum(operator.share for operator in rest)
        words = f"{len(rest)} others"
        table.add_row("", words, "", "", f"{mean_us:.1f}", "", f"{share:.1%}", f"{reached + share:.1%}", "", "", "")
    return Group(*_heading(result), table, *_summary(result))


def _cells(operator: OperatorProfile, reached: float) -> list[Any]:
    shape = "x".join(map(str, operator.output_shape or []))
    return [
        str(operator.operator if operator.operator is not None else "-"),
        Text(operator.kind or "-"),
        Text(operator.name if operator.delegated else "built-in kernel"),
        Text(f"{shape} {operator.output_dtype}" if operator.output_shape else ""),
        f"{operator.mean_us:.1f}",
        "" if operator.std_us is None else f"{operator.std_us:.1f}",
        f"{operator.share:.1%}",
        f"{reached:.1%}",
        "" if not operator.macs else f"{operator.macs / 1e6:.2f}",
        "" if not operator.parameters else str(operator.parameters),
        "" if operator.gflops is None else f"{operator.gflops:.1f}",
    ]


def _heading(result: ProfileResult) -> list[RenderableType]:
    words = f"{result.model} ({result.model_digest[:19]}) on {result.runtime} {result.runtime_version}"
    return [Text(f"{words}, {result.spec.kernels} kernels, {result.threads} threads, {result.iterations} runs"), Text()]


def _summary(result: ProfileResult) -> list[RenderableType]:
    lines = [Text()]
    if result.latency is not None and result.explained is not None and result.unattributed_us is not None:
        lines.append(
            Text(f"{result.latency.mean_ms:.3f} ms a run with the profiler, {result.plain_p50_ms:.3f} ms without")
        )
        left = f"{result.unattributed_us:.1f} us are unattributed"
        lines.append(Text(f"the operators explain {result.explained:.1%} of a run, {left}"))
    weights = f"{result.macs / 1e6:.1f} M multiply-accumulates, {result.parameters} parameters"
    memory = f"{result.weight_bytes / 1e6:.2f} MB of weights, {result.peak_activation_bytes / 1024:.0f} KiB"
    lines.append(Text(f"{weights}, {memory} of activations at most (at operator {result.peak_operator})"))
    lines.append(Text(f"load {result.load_ms:.2f} ms, first inference {result.first_inference_ms:.2f} ms"))
    verdict = Text.assemble("verdict: ", (result.validity.verdict, VERDICT_STYLE[result.validity.verdict]))
    for finding in result.validity.reasons:
        verdict.append(f"\n  {finding.verdict}: {finding.detail}")
    return [*lines, verdict]

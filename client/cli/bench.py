"""`client bench`: measure a model in many configurations, on several hosts at once."""

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from client.analysis.matrix import Switch, UsageError, devices_of, expand, in_rounds, values_of
from client.analysis.runs import RUN_FILE, Run, read_run
from client.bench import Campaign, plan
from client.cli.bench_progress import reporting
from client.cli.bench_view import run_rows, run_view
from client.cli.lease import say_leases
from client.cli.options import (
    DURATION,
    AllHosts,
    Hosts,
    Interval,
    OutputForm,
    Priority,
    Quiet,
    Requeue,
    chosen,
    job_options,
)
from client.console import (
    EXIT_INTERRUPTED,
    EXIT_JOB_FAILED,
    EXIT_NOT_OK,
    EXIT_OK,
    EXIT_SOME_HOSTS_FAILED,
    Output,
    emit,
    note,
    plain_table,
)
from client.files.images import find_images
from client.files.saved import new_folder, reserved_folder
from client.sdk.calls import file_digest
from client.sdk.hosts import Host, HostsFile
from contract.devices import Precision
from contract.jobs import JobState
from contract.specs import DEFAULT_ITERATIONS, Hint, ImageInput, RandomInput, label
from contract.validity import Verdict

DEVICE_HELP = "Devices: AUTO,CPU,GPU,NPU; with a list: 'AUTO:GPU,CPU' or 'HETERO:GPU,CPU'. Default AUTO."
JOB_TIMEOUT_MIN_S = 3600.0
JOB_TIMEOUT_EXTRA_S = 600.0
"""What a job may need beyond its timed phase and cool-down."""


def bench(
    host: Hosts = [],  # noqa: B006
    all_hosts: AllHosts = False,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Models to measure, not the default.")] = None,
    runtime: Annotated[str | None, typer.Option(help="Runtimes: litert,tflite,openvino,onnx.")] = None,
    device: Annotated[str | None, typer.Option(help=DEVICE_HELP)] = None,
    precision: Annotated[str | None, typer.Option(help="Of the arithmetic: f32,f16,bf16,int8.")] = None,
    model_cache: Annotated[
        str | None, typer.Option(help="off,on: load the compiled model from the runtime's cache.")
    ] = None,
    threads: Annotated[str | None, typer.Option(help="Threads of one inference: 1,2,4.")] = None,
    batch: Annotated[str, typer.Option(help="Frames in one inference: 1,10.")] = "1",
    hint: Annotated[str | None, typer.Option(help="latency,throughput: the agent chooses threads and streams.")] = None,
    streams: Annotated[str | None, typer.Option(help="Inferences at the same time: 1,2.")] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help=f"Timed inferences of a batch; default {DEFAULT_ITERATIONS}.")
    ] = None,
    duration: Annotated[float | None, typer.Option(help="Length of the timed phase instead.", **DURATION)] = None,
    warm_up: Annotated[int, typer.Option(min=0, help="Inferences before the timed ones.")] = 10,
    window: Annotated[float, typer.Option(help="Length of the windows in the result.", **DURATION)] = 1.0,
    input: Annotated[str, typer.Option(help="A picture, a folder of them, or random.")] = "random",
    repeat: Annotated[int, typer.Option(min=1, help="Jobs for each configuration, in rounds.")] = 1,
    cooldown: Annotated[
        float, typer.Option(help="Longest wait before each job for the CPU to cool down.", **DURATION)
    ] = 0.0,
    interval: Interval = 1.0,
    priority: Priority = 0,
    requeue: Requeue = False,
    name: Annotated[str, typer.Option(help="Name of the run.")] = "bench",
    save: Annotated[Path | None, typer.Option(help="Folder for the run; default runs/TIME-NAME.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder; alone.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 8 unless every verdict is ok.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Submit the jobs and do not wait.")] = False,
    output: OutputForm = Output.TABLE,
    quiet: Quiet = False,
) -> None:
    """Measure load time, latency and frames per second, in every combination of the values given.

    Example: client bench --host edge1 --runtime litert,tflite --threads 1,2 --batch 1,10
    """
    if resume is not None:
        run, folder, blobs = _unfinished(resume), resume, dict[str, Path]()
        hosts = [HostsFile().resolve(known)[0] for known in dict.fromkeys(entry.host for entry in run.entries)]
    else:
        hosts = chosen(host, all_hosts)
        source, blobs = _input(input)
        common = {"input": source, "cooldown_s": cooldown, "iterations": iterations, "duration_s": duration}
        axes = {"device": devices_of(device), **_axes(model=model, runtime=runtime, precision=precision)}
        axes |= _axes(model_cache=model_cache, hint=hint, streams=streams, threads=threads, batch=batch)
        specs = expand(common | {"warm_up_iterations": warm_up, "window_s": window}, axes)
        options = job_options(priority, interval, _timeout_s(duration, cooldown), requeue=requeue)
        run = plan(name, hosts, in_rounds(specs, repeat), options)
        folder = save or new_folder(name)
    with nullcontext() if resume else reserved_folder(folder):
        campaign = _measure(run, folder, hosts, blobs, detach=detach, quiet=quiet)
        if resume is None and _refused_all(campaign):
            (folder / RUN_FILE).unlink(missing_ok=True)
    _show(run, output, detached=detach)
    raise typer.Exit(_exit_code(campaign, len(hosts), strict=strict, detached=detach))


def _axes(**texts: str | None) -> Mapping[str, Sequence[Any]]:
    kinds: Mapping[str, Any] = {
        "model": str,
        "runtime": str,
        "precision": Precision,
        "model_cache": Switch,
        "hint": Hint,
    }
    return {name: values_of(name, text, kinds.get(name, int)) for name, text in texts.items()}


def _input(text: str) -> tuple[RandomInput | ImageInput, dict[str, Path]]:
    """What the benchmark sees, and the files to upload for it."""
    if text == "random":
        return RandomInput(), {}
    paths = [source.path for source in find_images([text])]
    files = {file_digest(path): path for path in paths if path is not None}
    if not files:
        raise UsageError("--input takes a picture, a folder of them, or random; not standard input")
    return ImageInput(digests=list(files)), files


def _timeout_s(duration_s: float | None, cooldown_s: float) -> float:
    return max(JOB_TIMEOUT_MIN_S, (duration_s or 0) + cooldown_s + JOB_TIMEOUT_EXTRA_S)


def _unfinished(folder: Path) -> Run:
    """A run to go on with: what failed on the way to a host is tried again."""
    run = read_run(folder)
    for entry in run.entries:
        entry.error = None
    return run


def _measure(
    run: Run, folder: Path, hosts: Sequence[Host], blobs: Mapping[str, Path], *, detach: bool, quiet: bool
) -> Campaign:
    """Do the work. Ends the program with 130 when it is interrupted."""
    if not quiet:
        say_leases(run, hosts)
    with reporting(quiet=quiet) as report:
        campaign = Campaign(run, folder, report, blobs)
        work = campaign.submit(hosts) if detach else campaign.measure(hosts)
        try:
            asyncio.run(work)
        except KeyboardInterrupt:
            interrupted = True
        else:
            interrupted = False
    if _refused_all(campaign):
        pass  # there is nothing to come back to
    elif interrupted or detach or campaign.errors:
        _say_how_to_come_back(run, folder)
    elif not quiet:
        note(f"saved in {folder / RUN_FILE}")
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    return campaign


def _refused_all(campaign: Campaign) -> bool:
    """Whether agents took none of the jobs; where one did not answer, it may have taken some."""
    return len(campaign.refused) == len(campaign.run.entries)


def _say_how_to_come_back(run: Run, folder: Path) -> None:
    pending: dict[str, list[str]] = {}
    for entry in run.entries:
        if entry.job is not None and not entry.job.state.ended:
            pending.setdefault(entry.host, []).append(entry.job.id)
    if not pending:
        note(f"no job is under way; what there is of the run is in {folder}")
        return
    note(
        f"{sum(map(len, pending.values()))} jobs go on; to come back: client bench --resume {shlex.quote(str(folder))}"
    )
    for host, ids in pending.items():
        note(f"to cancel: client jobs cancel --host {shlex.quote(host)} {' '.join(ids)}")


def _show(run: Run, output: Output, *, detached: bool) -> None:
    emit(
        output,
        document=lambda: run.model_dump(mode="json"),
        rows=lambda: run_rows(run),
        view=lambda: _submitted_view(run) if detached else run_view(run),
    )


def _submitted_view(run: Run) -> RenderableType:
    table = plain_table("host", "job", "measures")
    for entry in run.entries:
        state = entry.error or "not submitted"
        table.add_row(Text(entry.host), Text(entry.job.id if entry.job else state), Text(label(entry.request.spec)))
    return table


def _exit_code(campaign: Campaign, hosts: int, *, strict: bool, detached: bool) -> int:
    entries, errors = campaign.run.entries, campaign.errors
    if errors:
        return EXIT_SOME_HOSTS_FAILED if len(errors) < hosts else max(error.exit_code for error in errors.values())
    if _refused_all(campaign):
        return campaign.refused[0].exit_code
    if campaign.refused:
        return EXIT_JOB_FAILED
    if detached:
        return EXIT_OK
    if any(entry.job is None or entry.job.state is not JobState.SUCCEEDED for entry in entries):
        return EXIT_JOB_FAILED
    verdicts = {entry.result.validity.verdict for entry in entries if entry.result is not None}
    return EXIT_NOT_OK if strict and verdicts - {Verdict.OK} else EXIT_OK

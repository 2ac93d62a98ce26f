"""`client classify`: pictures to labels, on one host or several at once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from client.cli.options import AllHosts, Hosts, OutputForm, Quiet, Timeout, chosen
from client.console import EXIT_SOME_HOSTS_FAILED, Output, complain, counting, emit, error_document, plain_table
from client.errors import EdgeError
from client.files.images import ImageSource, find_images
from client.sdk.edge_client import AsyncEdgeClient, Classification
from client.sdk.hosts import Host
from contract.classify import TOP_K_MAX, DecodeMode, QuantMode

AT_ONCE = 4
"""Pictures under way to one host: enough to keep its workers busy, few enough to leave its queue to others."""


@dataclass(frozen=True)
class Outcome:
    """What became of one picture on one host."""

    host: str
    image: str
    result: Classification | EdgeError

    @property
    def done(self) -> Classification | None:
        """The classification, None when it failed."""
        return self.result if isinstance(self.result, Classification) else None


def classify(
    images: Annotated[list[str], typer.Argument(help="Picture files, folders, quoted patterns; - for standard input.")],
    host: Hosts = [],  # noqa: B006  (Typer wants a list as the default)
    all_hosts: AllHosts = False,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Model to use instead of the default.")] = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=TOP_K_MAX, help="Classes to show.")] = 5,
    runtime: Annotated[str | None, typer.Option(help="litert or tflite, instead of the agent's choice.")] = None,
    decode: Annotated[DecodeMode, typer.Option(help="exact: decode every pixel of a JPEG.")] = DecodeMode.FAST,
    quant: Annotated[
        QuantMode, typer.Option(help="legacy_sample: the teaching notebook's mapping.")
    ] = QuantMode.CORRECT,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into folders below folders.")] = False,
    output: OutputForm = Output.TABLE,
    timeout: Timeout = None,
    quiet: Quiet = False,
) -> None:
    """Classify pictures and show labels, scores and where the time went.

    Example: client classify parrot.jpg --host edge1 --top-k 3
    """
    sources = find_images(images, recursive=recursive)
    hosts = chosen(host, all_hosts)
    options = {"model": model, "top_k": top_k, "runtime": runtime, "decode": decode, "quant": quant}
    with counting("classifying", len(sources) * len(hosts), quiet=quiet) as advance:
        outcomes = asyncio.run(_classify_everywhere(hosts, sources, options, timeout, advance))
    emit(
        output,
        document=lambda: {"results": [_document(outcome) for outcome in outcomes]},
        rows=lambda: [row for outcome in outcomes for row in _rows(outcome)],
        view=lambda: _view(outcomes),
    )
    for outcome in outcomes:
        if isinstance(outcome.result, EdgeError):
            complain(outcome.result, outcome.image)
    raise typer.Exit(_exit_code(outcomes))


async def _classify_everywhere(
    hosts: Sequence[Host],
    sources: Sequence[ImageSource],
    options: dict[str, Any],
    timeout_s: float | None,
    advance: Callable[[], None],
) -> list[Outcome]:
    contents = {source.name: _read(source) for source in sources if source.path is None}
    per_host = await asyncio.gather(
        *(_classify_on(host, sources, contents, options, timeout_s, advance) for host in hosts)
    )
    return [outcome for outcomes in zip(*per_host, strict=True) for outcome in outcomes]


async def _classify_on(
    host: Host,
    sources: Sequence[ImageSource],
    contents: dict[str, bytes | EdgeError],
    options: dict[str, Any],
    timeout_s: float | None,
    advance: Callable[[], None],
) -> list[Outcome]:
    turn = asyncio.Semaphore(AT_ONCE)
    try:
        client = AsyncEdgeClient(host, timeout_s=timeout_s)
    except EdgeError as error:
        return [Outcome(host.name, source.name, error) for source in sources]

    async def one(source: ImageSource) -> Outcome:
        async with turn:
            content = contents.get(source.name) or _read(source)
            result: Classification | EdgeError
            try:
                result = content if isinstance(content, EdgeError) else await client.classify(content, **options)
            except EdgeError as error:
                result = error
            advance()
            return Outcome(host.name, source.name, result)

    async with client:
        return await asyncio.gather(*map(one, sources))


def _read(source: ImageSource) -> bytes | EdgeError:
    try:
        return source.read()
    except EdgeError as error:
        return error


def _document(outcome: Outcome) -> dict[str, Any]:
    document: dict[str, Any] = {"host": outcome.host, "file": outcome.image}
    if outcome.done is None:
        assert isinstance(outcome.result, EdgeError)
        return document | {"error": error_document(outcome.result)}
    return document | outcome.done.reply.model_dump(mode="json") | {"client_timing_ms": _client_times(outcome.done)}


def _client_times(result: Classification) -> dict[str, float]:
    times = {"connect": result.connect_ms, "exchange": result.exchange_ms, "network": result.network_ms}
    return {name: round(value, 3) for name, value in times.items()}


def _rows(outcome: Outcome) -> list[dict[str, Any]]:
    if outcome.done is None:
        return [{"host": outcome.host, "file": outcome.image, "error": str(outcome.result)}]
    reply = outcome.done.reply
    times = {f"{name}_ms": value for name, value in reply.timing_ms.model_dump().items()}
    times |= {f"{name}_ms": value for name, value in _client_times(outcome.done).items()}
    common = {"model": reply.model.name, "runtime": reply.runtime.name, "threads": reply.runtime.threads, **times}
    return [
        {
            "host": outcome.host,
            "file": outcome.image,
            "rank": rank,
            **prediction.model_dump(),
            **common,
            "error": None,
        }
        for rank, prediction in enumerate(reply.predictions, 1)
    ]


def _view(outcomes: Sequence[Outcome]) -> RenderableType:
    done = [(outcome, outcome.done) for outcome in outcomes if outcome.done is not None]
    if not done:
        return Group()
    if len(outcomes) == 1:
        return _detailed(outcomes[0].image, done[0][1])
    table = plain_table(
        "file", "host", "label", "score", "model", "agent ms", "network ms", right=("score", "agent ms", "network ms")
    )
    for outcome, result in done:
        total, network = f"{result.reply.timing_ms.total:.1f}", f"{result.network_ms:.1f}"
        score = f"{result.score:.4f}"
        table.add_row(outcome.image, outcome.host, result.label, score, result.reply.model.name, total, network)
    return table


def _detailed(image: str, result: Classification) -> RenderableType:
    reply = result.reply
    runtime = reply.runtime
    threads = f"{runtime.threads} thread{'s' if runtime.threads > 1 else ''}"
    ran_on = (
        f"{runtime.name} {runtime.version} on {runtime.device}, {runtime.delegate or 'built-in kernels'}, {threads}"
    )
    heading = Text(f"{image} on {result.host}: {reply.model.name} ({ran_on})")
    classes = plain_table("rank", "score", "label", right=("rank", "score"))
    for rank, prediction in enumerate(reply.predictions, 1):
        label = prediction.label if prediction.label is not None else f"class {prediction.index}"
        classes.add_row(str(rank), f"{prediction.score:.4f}", label)
    stages = {name: value for name, value in reply.timing_ms.model_dump(exclude_none=True).items() if name != "total"}
    times = plain_table(
        *stages, "agent total", "network", "connect", right=(*stages, "agent total", "network", "connect")
    )
    values = [*stages.values(), reply.timing_ms.total, result.network_ms, result.connect_ms]
    times.add_row(*(f"{value:.1f} ms" for value in values))
    parts: list[RenderableType] = [heading, Text(), classes, Text(), times]
    if reply.image.decode == "reduced":
        size = f"{reply.image.decoded_width} x {reply.image.decoded_height}"
        parts.append(Text(f"decoded at {size}, which is enough for the model; --decode exact uses every pixel", "dim"))
    return Group(*parts)


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    failed = {outcome.host for outcome in outcomes if outcome.done is None}
    if not failed:
        return 0
    if failed != {outcome.host for outcome in outcomes}:
        return EXIT_SOME_HOSTS_FAILED
    return max(outcome.result.exit_code for outcome in outcomes if isinstance(outcome.result, EdgeError))

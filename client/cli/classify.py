"""`client classify`: pictures to labels, on one host or several at once."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from client.cli.on_images import (
    Outcome,
    ask_everywhere,
    decoding_notes,
    document_of,
    end_with,
    heading,
    rows_of,
    times_table,
)
from client.cli.options import AllHosts, Decode, Hosts, OutputForm, Quiet, Recursive, ServingRuntime, Timeout, chosen
from client.console import Output, counting, emit, plain_table
from client.files.images import find_images
from client.sdk.edge_client import AsyncEdgeClient
from client.sdk.replies import Classification
from contract.classify import TOP_K_MAX, DecodeMode, Prediction, QuantMode

_COLUMNS = tuple(Prediction.model_fields)


def classify(
    images: Annotated[list[str], typer.Argument(help="Picture files, folders, quoted patterns; - for standard input.")],
    host: Hosts = [],  # noqa: B006  (Typer wants a list as the default)
    all_hosts: AllHosts = False,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Model to use instead of the default.")] = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=TOP_K_MAX, help="Classes to show.")] = 5,
    runtime: ServingRuntime = None,
    decode: Decode = DecodeMode.FAST,
    quant: Annotated[
        QuantMode, typer.Option(help="legacy_sample: the teaching notebook's mapping.")
    ] = QuantMode.CORRECT,
    recursive: Recursive = False,
    output: OutputForm = Output.TABLE,
    timeout: Timeout = None,
    quiet: Quiet = False,
) -> None:
    """Classify pictures and show labels, scores and where the time went.

    Example: client classify parrot.jpg --host edge1 --top-k 3
    """
    sources = find_images(images, recursive=recursive)
    hosts = chosen(host, all_hosts)

    async def ask(client: AsyncEdgeClient, content: bytes) -> Classification:
        return await client.classify(content, model=model, top_k=top_k, runtime=runtime, decode=decode, quant=quant)

    with counting("classifying", len(sources) * len(hosts), quiet=quiet) as advance:
        outcomes = asyncio.run(ask_everywhere(hosts, sources, ask, timeout, advance))
    emit(
        output,
        document=lambda: {"results": [document_of(outcome) for outcome in outcomes]},
        rows=lambda: [row for outcome in outcomes for row in rows_of(outcome, _found, _COLUMNS)],
        view=lambda: _view(outcomes),
    )
    end_with(outcomes)


def _found(answer: Classification) -> list[dict[str, object]]:
    return [prediction.model_dump() for prediction in answer.predictions]


def _view(outcomes: Sequence[Outcome[Classification]]) -> RenderableType:
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
    classes = plain_table("rank", "score", "label", right=("rank", "score"))
    for rank, prediction in enumerate(result.predictions, 1):
        label = prediction.label if prediction.label is not None else f"class {prediction.index}"
        classes.add_row(str(rank), f"{prediction.score:.4f}", label)
    blank = Text()
    return Group(heading(image, result), blank, classes, blank, times_table(result), *decoding_notes(result))

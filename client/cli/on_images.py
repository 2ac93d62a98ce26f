"""Commands that ask about pictures, on one host or several at once: what is asked, and what every answer has."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from client.console import EXIT_OK, EXIT_SOME_HOSTS_FAILED, complain, error_document, plain_table
from client.errors import EdgeError
from client.files.images import ImageSource
from client.sdk.edge_client import AsyncEdgeClient
from client.sdk.hosts import Host
from client.sdk.replies import Classification, Detections
from contract.classify import StageTimes

AT_ONCE = 4
"""Pictures under way to one host: enough to keep its workers busy, few enough to leave its queue to others."""

_ON_THE_WAY = ("connect", "exchange", "network")
"""What the client times itself."""
_TIMES = [f"{name}_ms" for name in (*StageTimes.model_fields, *_ON_THE_WAY)]
"""Columns of how long each stage took."""

Answer = TypeVar("Answer", Classification, Detections)
Ask = Callable[[AsyncEdgeClient, bytes], Awaitable[Answer]]


@dataclass(frozen=True)
class Outcome(Generic[Answer]):
    """What became of one picture on one host."""

    host: str
    source: ImageSource
    result: Answer | EdgeError

    @property
    def image(self) -> str:
        """The name that the picture is shown under."""
        return self.source.name

    @property
    def done(self) -> Answer | None:
        """The answer, None when there is none."""
        return None if isinstance(self.result, EdgeError) else self.result


async def ask_everywhere(
    hosts: Sequence[Host],
    sources: Sequence[ImageSource],
    ask: Ask[Answer],
    timeout_s: float | None,
    advance: Callable[[], None],
) -> list[Outcome[Answer]]:
    """Ask each host about each picture, hosts beside each other; the outcomes picture by picture."""
    per_host = await asyncio.gather(*(_ask_host(host, sources, ask, timeout_s, advance) for host in hosts))
    return [outcome for outcomes in zip(*per_host, strict=True) for outcome in outcomes]


async def _ask_host(
    host: Host,
    sources: Sequence[ImageSource],
    ask: Ask[Answer],
    timeout_s: float | None,
    advance: Callable[[], None],
) -> list[Outcome[Answer]]:
    turn = asyncio.Semaphore(AT_ONCE)
    try:
        client = AsyncEdgeClient(host, timeout_s=timeout_s)
    except EdgeError as error:
        return [Outcome(host.name, source, error) for source in sources]

    async def one(source: ImageSource) -> Outcome[Answer]:
        async with turn:
            result: Answer | EdgeError
            try:
                result = await ask(client, source.read())
            except EdgeError as error:
                result = error
            advance()
            return Outcome(host.name, source, result)

    async with client:
        return await asyncio.gather(*map(one, sources))


def document_of(outcome: Outcome[Any]) -> dict[str, Any]:
    """An outcome as JSON has it."""
    document: dict[str, Any] = {"host": outcome.host, "file": outcome.image}
    if outcome.done is None:
        assert isinstance(outcome.result, EdgeError)
        return document | {"error": error_document(outcome.result)}
    reply: dict[str, Any] = outcome.done.reply.model_dump(mode="json")
    return document | reply | {"client_timing_ms": _client_times(outcome.done)}


def rows_of(
    outcome: Outcome[Answer], found: Callable[[Answer], Sequence[dict[str, Any]]], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """An outcome as rows, one for each thing found in the picture, ranked, with what they have in common.

    A picture in which nothing was found is a row without a rank, so that no picture is lost; `columns` are those of
    a thing found.
    """
    common: dict[str, Any] = {"host": outcome.host, "file": outcome.image}
    done = outcome.done
    if done is None:
        nothing = dict.fromkeys(("rank", *columns, "model", "runtime", "threads", *_TIMES))
        return [common | nothing | {"error": str(outcome.result)}]
    reply = done.reply
    times = {f"{name}_ms": value for name, value in reply.timing_ms.model_dump().items()}
    times |= {f"{name}_ms": value for name, value in _client_times(done).items()}
    of_all = {"model": reply.model.name, "runtime": reply.runtime.name, "threads": reply.runtime.threads, **times}
    things: Sequence[dict[str, Any]] = found(done)
    if not things:
        return [common | {"rank": None} | dict.fromkeys(columns) | of_all | {"error": None}]
    return [common | {"rank": rank} | row | of_all | {"error": None} for rank, row in enumerate(things, 1)]


def heading(image: str, answer: Classification | Detections) -> Text:
    """Which picture, where, by what it was answered."""
    runtime = answer.reply.runtime
    threads = f"{runtime.threads} thread{'s' if runtime.threads > 1 else ''}"
    ran_on = (
        f"{runtime.name} {runtime.version} on {runtime.device}, {runtime.delegate or 'built-in kernels'}, {threads}"
    )
    return Text(f"{image} on {answer.host}: {answer.reply.model.name} ({ran_on})")


def times_table(answer: Classification | Detections) -> Table:
    """How long each stage took."""
    times = answer.reply.timing_ms
    stages = {name: value for name, value in times.model_dump(exclude_none=True).items() if name != "total"}
    names = [*stages, "agent total", "network", "connect"]
    table = plain_table(*names, right=names)
    values = [*stages.values(), times.total, answer.network_ms, answer.connect_ms]
    table.add_row(*(f"{value:.1f} ms" for value in values))
    return table


def decoding_notes(answer: Classification | Detections) -> list[Text]:
    """What was left out when the picture was decoded, and how to have it whole; empty when nothing was."""
    image = answer.reply.image
    if image.decode == "full":
        return []
    enough = "which is enough for the model" if image.decode == "reduced" else "which may change scores a little"
    size = f"{image.decoded_width} x {image.decoded_height}"
    return [Text(f"decoded at {size}, {enough}; --decode exact uses every pixel", "dim")]


def end_with(outcomes: Sequence[Outcome[Any]], otherwise: int = EXIT_OK) -> None:
    """Say what failed, and end the command with the exit code for it, else with another."""
    for outcome in outcomes:
        if isinstance(outcome.result, EdgeError):
            complain(outcome.result, outcome.image)
    raise typer.Exit(_exit_code(outcomes) or otherwise)


def _client_times(answer: Classification | Detections) -> dict[str, float]:
    return {name: round(getattr(answer, f"{name}_ms"), 3) for name in _ON_THE_WAY}


def _exit_code(outcomes: Sequence[Outcome[Any]]) -> int:
    failed = {outcome.host for outcome in outcomes if outcome.done is None}
    if not failed:
        return 0
    if failed != {outcome.host for outcome in outcomes}:
        return EXIT_SOME_HOSTS_FAILED
    return max(outcome.result.exit_code for outcome in outcomes if isinstance(outcome.result, EdgeError))

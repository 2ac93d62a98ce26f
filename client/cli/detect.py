"""`client detect`: the objects in pictures, on one host or several at once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
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
from client.console import EXIT_FAILED, EXIT_OK, Output, complain, counting, emit, note, plain_table
from client.errors import EdgeError
from client.files.drawing import Targets, draw_boxes, drawing_targets
from client.files.images import find_images
from client.sdk.edge_client import AsyncEdgeClient
from client.sdk.replies import Detections, name_of
from contract.classify import DecodeMode
from contract.detect import DETECTIONS_MAX, Box, Detection, DetectOptions

_DEFAULT = DetectOptions()
_EDGES = tuple(Box.model_fields)
_COLUMNS = ("index", "label", "score", *(f"{edge}_px" for edge in _EDGES))


def detect(
    images: Annotated[list[str], typer.Argument(help="Picture files, folders, quoted patterns; - for standard input.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The detector to use; `client models ls` shows tasks.")],
    host: Hosts = [],  # noqa: B006  (Typer wants a list as the default)
    all_hosts: AllHosts = False,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out objects with a lower score.")
    ] = _DEFAULT.min_score,
    iou_threshold: Annotated[
        float,
        typer.Option("--iou", min=0, max=1, help="Of boxes of one class that overlap by more, keep the best."),
    ] = _DEFAULT.iou_threshold,
    max_detections: Annotated[
        int, typer.Option("--max", min=1, max=DETECTIONS_MAX, help="Objects to show of one picture.")
    ] = _DEFAULT.max_detections,
    draw: Annotated[
        Path | None,
        typer.Option(
            help="Write the picture with its boxes to this .png, .jpg or .webp file; a name without ending is a "
            "folder, for several pictures."
        ),
    ] = None,
    runtime: ServingRuntime = None,
    decode: Decode = DecodeMode.FAST,
    recursive: Recursive = False,
    output: OutputForm = Output.TABLE,
    timeout: Timeout = None,
    quiet: Quiet = False,
) -> None:
    """Find objects in pictures: class, score, and box in pixels of the file.

    Example: client detect car.png --model plates --host edge1 --draw out.png
    """
    sources = find_images(images, recursive=recursive)
    hosts = chosen(host, all_hosts)
    targets = drawing_targets(draw, sources, [each.name for each in hosts]) if draw is not None else {}

    async def ask(client: AsyncEdgeClient, content: bytes) -> Detections:
        return await client.detect(
            content,
            model=model,
            min_score=min_score,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
            runtime=runtime,
            decode=decode,
        )

    with counting("detecting", len(sources) * len(hosts), quiet=quiet) as advance:
        outcomes = asyncio.run(ask_everywhere(hosts, sources, ask, timeout, advance))
    emit(
        output,
        document=lambda: {"results": [document_of(outcome) for outcome in outcomes]},
        rows=lambda: [row for outcome in outcomes for row in rows_of(outcome, _found, _COLUMNS)],
        view=lambda: _view(outcomes, min_score),
    )
    drawn = _draw_all(outcomes, targets, quiet=quiet)
    end_with(outcomes, EXIT_OK if drawn else EXIT_FAILED)


def _draw_all(outcomes: Sequence[Outcome[Detections]], targets: Targets, *, quiet: bool) -> bool:
    """Draw what was found to where it belongs; says whether all went well, and complains where not."""
    well = True
    for outcome in outcomes:
        target = targets.get((outcome.host, outcome.source.name))
        if target is None or outcome.done is None:
            continue
        try:
            draw_boxes(outcome.source.read(), outcome.done.detections, target)
        except EdgeError as error:
            complain(error, outcome.image)
            well = False
        else:
            if not quiet:
                note(f"{target} shows the boxes")
    return well


def _found(answer: Detections) -> list[dict[str, object]]:
    return [
        {"index": each.index, "label": each.label, "score": each.score}
        | {f"{edge}_px": value for edge, value in each.box_px.model_dump().items()}
        for each in answer.detections
    ]


def _view(outcomes: Sequence[Outcome[Detections]], min_score: float) -> RenderableType:
    done = [(outcome, outcome.done) for outcome in outcomes if outcome.done is not None]
    if not done:
        return Group()
    if len(outcomes) == 1:
        return _detailed(outcomes[0].image, done[0][1], min_score)
    table = plain_table("file", "host", "objects", "found", "agent ms", "network ms", right=("objects", "agent ms"))
    for outcome, answer in done:
        times = f"{answer.reply.timing_ms.total:.1f}", f"{answer.network_ms:.1f}"
        table.add_row(outcome.image, outcome.host, str(len(answer.detections)), _counted(answer.detections), *times)
    return table


def _counted(detections: Sequence[Detection]) -> str:
    counts = Counter(map(name_of, detections))
    return ", ".join(f"{name} x {count}" if count > 1 else name for name, count in counts.most_common())


def _detailed(image: str, answer: Detections, min_score: float) -> RenderableType:
    blank = Text()
    foot: list[RenderableType] = [blank, times_table(answer), *decoding_notes(answer)]
    if not answer.detections:
        return Group(heading(image, answer), blank, Text(f"no object with a score of {min_score:g} or more"), *foot)
    objects = plain_table("rank", "score", "label", *_EDGES, right=("rank", "score", *_EDGES))
    for rank, found in enumerate(answer.detections, 1):
        corners = (f"{value:.0f}" for value in found.box_px.model_dump().values())
        objects.add_row(str(rank), f"{found.score:.4f}", found.label or f"class {found.index}", *corners)
    return Group(heading(image, answer), blank, objects, Text(_unit_of(answer), "dim"), *foot)


def _unit_of(answer: Detections) -> str:
    """What the boxes are measured in, where that is not what a viewer shows."""
    orientation = answer.reply.image.exif_orientation
    stored = f", which is stored turned: EXIF orientation {orientation}" if orientation != 1 else ""
    return f"boxes in pixels of the file{stored}"

"""`client compare`: runs side by side, with ratios that carry intervals."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from client.analysis.alignment import Alignment, Cell, Line, align, sentences
from client.analysis.matrix import UsageError
from client.analysis.runs import Run, read_run
from client.cli.bench_view import VERDICT_STYLE, figure, median_text
from client.cli.options import OutputForm
from client.cli.profile_compare import compare_profiles, read_profiles
from client.cli.report import write_report
from client.console import Output, emit, plain_table
from client.report.data import report_data
from client.report.sources import Sources, short_names


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders, or saved profiles; the first is the baseline.")
    ],
    report: Annotated[
        Path | None, typer.Option(help="Also write the comparison as a page, as client report does.")
    ] = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Compare runs of `client bench`: what differs between them, and how much faster each is than the first.

    The ratio is that of the median times a frame, with a 95 % interval; unreliable measurements are shown and not
    ranked. Profiles (`client profile --save FILE`) are compared operator by operator.

    Example: client compare runs/before runs/after --report comparison.html
    """
    if len(runs) < 2:
        raise UsageError("compare takes two runs or more", hint="`client bench` writes them, by default into runs/")
    if profiles := read_profiles(runs):
        if report is not None:
            write_report(report, report_data(Sources(profiles=list(profiles.items()))))
        compare_profiles(profiles, output)
        return
    read = [read_run(path) for path in runs]
    alignment = align(read)
    names = short_names(runs)
    if report is not None:
        write_report(report, report_data(Sources(runs=list(zip(names, read, strict=True)))))
    emit(
        output,
        document=lambda: _document(names, read, alignment),
        rows=lambda: [_row(name, line.name, cell) for line in alignment.lines for name, cell in _pairs(names, line)],
        view=lambda: _view(names, alignment),
    )


def _pairs(names: list[str], line: Line) -> list[tuple[str, Cell]]:
    return [(name, cell) for name, cell in zip(names, line.cells, strict=True) if cell is not None]


def _row(run: str, configuration: str, cell: Cell) -> dict[str, Any]:
    row, ratio = cell.row, cell.ratio
    low, high = row.interval_ms or (None, None)
    return {
        "configuration": configuration,
        "run": run,
        "host": row.host,
        "jobs": len(row.results),
        "p50_ms": row.median_ms,
        "p50_low_ms": low,
        "p50_high_ms": high,
        "fps": row.fps,
        "load_ms": row.load_ms,
        "first_inference_ms": row.first_inference_ms,
        "verdict": row.verdict.value if row.verdict else None,
        "times_faster": ratio.value if ratio else None,
        "times_faster_low": ratio.low if ratio else None,
        "times_faster_high": ratio.high if ratio else None,
        "separates": ratio.separates if ratio else None,
        "why_not": cell.why_not,
        "differs": "; ".join(f"{label}: {there} / {here}" for label, (there, here) in cell.differs.items()) or None,
    }


def _document(names: list[str], runs: list[Run], alignment: Alignment) -> dict[str, Any]:
    return {
        "runs": [
            {"run": name, "name": run.name, "created_at": run.created_at.isoformat()}
            for name, run in zip(names, runs, strict=True)
        ],
        "differences": {what: dict(zip(names, values, strict=True)) for what, values in alignment.differences.items()},
        "rows": [_row(name, line.name, cell) for line in alignment.lines for name, cell in _pairs(names, line)],
    }


def _view(names: list[str], alignment: Alignment) -> RenderableType:
    right = ("p50 ms", "fps", "load ms")
    table = plain_table("configuration", "run", "p50 ms", "fps", "load ms", "times faster", "verdict", right=right)
    for line in alignment.lines:
        for index, (name, cell) in enumerate(_pairs(names, line)):
            row = cell.row
            verdict = Text(row.verdict, VERDICT_STYLE[row.verdict]) if row.verdict else Text(row.problem or "no result")
            rate = "n/a" if row.fps is None else f"{row.fps:.1f}"
            first = Text(line.name if index == 0 else "")
            table.add_row(first, Text(name), median_text(row), rate, figure(row.load_ms), _ratio_text(cell), verdict)
    parts: list[RenderableType] = []
    if alignment.differences:
        differing = plain_table("differs", *names)
        for what, values in alignment.differences.items():
            differing.add_row(what, *map(Text, values))
        parts = [differing, Text()]
    found = sentences(names, alignment)
    return Group(*parts, table, *([Text(), *map(Text, found)] if found else []))


def _ratio_text(cell: Cell) -> Text:
    unlike = f"; {cell.with_what}" if cell.differs else ""
    if cell.ratio is None:
        return Text(f"{cell.why_not or 'baseline'}{unlike}", "dim")
    return Text(f"{cell.ratio}{'' if cell.ratio.separates else ': no difference to be seen'}{unlike}")

"""A run as a table for people and as rows for programs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from client.analysis.facets import FACETS, Facet, varying
from client.analysis.ranking import verdict_lines
from client.analysis.runs import Entry, Run
from client.analysis.summary import Row, footnotes, rows_of
from client.console import plain_table
from contract.results import BenchmarkResult, LatencySummary
from contract.specs import input_of, length_of
from contract.validity import Verdict

VERDICT_STYLE = {Verdict.OK: "green", Verdict.SUSPECT: "yellow", Verdict.UNRELIABLE: "bold red"}
RIGHT = ("threads", "streams", "load ms", "first ms", "p50 ms", "p90", "p99", "fps")


def run_view(run: Run) -> RenderableType:
    """The table, what it leaves open, and which differences the samples can tell."""
    rows = rows_of(run)
    several = any(len(row.entries) > 1 for row in rows)
    median_heading = "p50 ms (range)" if several else "p50 ms (95 %)"
    columns = _columns(rows, median_heading)
    table = plain_table(*columns, right=(*RIGHT, median_heading))
    for row in rows:
        table.add_row(*(cell(row) for cell in columns.values()))
    parts: list[RenderableType] = [Text(_heading(rows)), Text(), table]
    for lines, style in ((footnotes(rows), "dim"), (verdict_lines(rows), "")):
        if lines:
            parts += [Text(), *(Text(line, style) for line in lines)]
    return Group(*parts)


Cell = Callable[[Row], str | Text]


def _columns(rows: Sequence[Row], median_heading: str) -> dict[str, Cell]:
    """Headings and what goes below; those that all rows share and nobody asked for are left out."""
    told = varying([rows])
    asked = [each for each in FACETS if each.shown_when_asked and any(each.asked(row) is not None for row in rows)]
    shown = [each for each in FACETS if each.always_shown or each in told or each in asked]
    facets = {each.label: partial(_facet_text, each) for each in shown}
    return facets | {
        "load ms": _load_text,
        "first ms": lambda row: _measured(row, figure(row.first_inference_ms)),
        median_heading: lambda row: _measured(row, median_text(row)),
        "p90": lambda row: _measured(row, figure(row.percentile_ms("p90"))),
        "p99": lambda row: _measured(row, figure(row.percentile_ms("p99"))),
        "fps": lambda row: _measured(row, "n/a" if row.fps is None else f"{row.fps:.1f}"),
        "verdict": verdict_text,
    }


def _facet_text(facet: Facet, row: Row) -> Text:
    return Text(facet.value(row))


def _measured(row: Row, text: str) -> str:
    return "-" if row.first is None else text


def _load_text(row: Row) -> str:
    cached = " (cached)" if row.first is not None and row.first.loaded_from_cache else ""
    return _measured(row, f"{figure(row.load_ms)}{cached}")


def _heading(rows: Sequence[Row]) -> str:
    results = [row.first for row in rows if row.first is not None]
    models = ", ".join(dict.fromkeys(f"{result.model} ({result.model_digest[:19]})" for result in results))
    spec = rows[0].entries[0].request.spec
    return f"{models or spec.model or 'default model'}, {length_of(spec)}, input {input_of(spec)}"


def figure(value: float | None) -> str:
    """A figure with three digits that count, n/a for none."""
    if value is None:
        return "n/a"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def median_text(row: Row) -> str:
    """The median with its interval, or the median of the repeats' medians with their range."""
    if row.interval_ms is None:
        return figure(row.median_ms)
    low, high = row.interval_ms
    of = f", {len(row.latencies)} runs" if len(row.latencies) > 1 else ""
    return f"{figure(row.median_ms)} ({figure(low)}-{figure(high)}{of})"


def verdict_text(row: Row) -> Text:
    """The verdict, marked; how many of the repeats it rests on when some are missing."""
    if row.verdict is None:
        jobs = [entry.job for entry in row.entries if entry.job is not None]  # why is said below the table
        return Text(jobs[-1].state.value if jobs else "not run", "bold red")
    missing = len(row.entries) - len(row.results)
    text = f"{row.verdict}, {missing} of {len(row.entries)} missing" if missing else str(row.verdict)
    return Text(text, VERDICT_STYLE[row.verdict])


def run_rows(run: Run) -> list[dict[str, Any]]:
    """A row a job, with everything that fits into one."""
    return [_job_row(entry) for entry in run.entries]


def _job_row(entry: Entry) -> dict[str, Any]:
    job = entry.job
    row: dict[str, Any] = {
        "host": entry.host,
        "job": job.id if job else None,
        "state": job.state.value if job else None,
        "repeat": entry.repeat,
        **_result_row(entry.result),
    }
    return row | {"error": entry.error or (job.error.detail if job and job.error else None)}


PLAIN_FIELDS = (
    *("model", "model_digest", "runtime", "runtime_version", "device", "delegate", "threads", "streams", "batch"),
    *("precision", "loaded_from_cache", "batch_mode", "load_ms", "first_inference_ms", "first_inference_latency_ms"),
    *("iterations", "frames", "duration_s", "fps"),
)
LATENCY_FIELDS = ("mean_ms", "std_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")


def _result_row(result: BenchmarkResult | None) -> dict[str, Any]:
    """Every column is there for every job, so that a file of jobs that failed has the same head."""
    row: dict[str, Any] = {name: getattr(result, name, None) for name in PLAIN_FIELDS}
    latency: LatencySummary | None = result.latency if result else None
    row |= {name: getattr(latency, name, None) for name in LATENCY_FIELDS}
    low, high = (latency.median_interval_ms if latency else None) or (None, None)
    reasons = "; ".join(finding.detail for finding in result.validity.reasons) if result else None
    verdict = result.validity.verdict.value if result else None
    return row | {"p50_low_ms": low, "p50_high_ms": high, "verdict": verdict, "reasons": reasons}

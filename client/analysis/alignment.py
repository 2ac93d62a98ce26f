"""Several runs side by side: which configurations correspond, what differs between the runs, and by how much."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client.analysis.comparison import LONE_JOBS, Jobs, Ratio, speed_ratio, times_faster
from client.analysis.runs import Entry, Run
from client.analysis.summary import Row, rows_of
from contract.jobs import PictureInput
from contract.validity import Verdict

DIMENSIONS = ("host", "model", "runtime", "device", "hint", "threads", "streams", "batch")
"""What tells the configurations of one run apart."""


@dataclass(frozen=True)
class Cell:
    """One configuration in one run, against the same in the first run."""

    row: Row
    ratio: Ratio | None = None
    """How many times faster than in the first run, by median time a frame; None where that cannot be said."""
    why_not: str | None = None
    """Why there is no ratio."""


@dataclass(frozen=True)
class Line:
    """A configuration across all runs; None where a run does not have it."""

    name: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Alignment:
    """The comparison of several runs."""

    lines: tuple[Line, ...]
    differences: Mapping[str, tuple[str, ...]]
    """What is not the same in all runs, with its value in each."""


def align(runs: Sequence[Run]) -> Alignment:
    """Put the runs side by side; the first is what the others are compared with.

    Configurations correspond when they agree in everything that varies within a run. What is constant within each
    run may differ from run to run: that is what is compared, and it is listed.
    """
    tables = [rows_of(run) for run in runs]
    facts = [[_dimensions(row) for row in table] for table in tables]
    varying = [name for name in DIMENSIONS if any(len({str(fact[name]) for fact in table}) > 1 for table in facts)]
    keyed = [_keyed(table, rows, varying) for table, rows in zip(facts, tables, strict=True)]
    keys = dict.fromkeys(key for table in keyed for key in table)
    lines = tuple(Line(_name(key, varying), _cells([table.get(key) for table in keyed])) for key in keys)
    return Alignment(lines, _differences(runs, tables, varying))


def sentences(names: Sequence[str], alignment: Alignment) -> list[str]:
    """Where a run is faster or slower than the first one, and the samples can tell; `names` are those of the runs."""
    found = []
    for line in alignment.lines:
        first, *others = zip(names, line.cells, strict=True)
        for name, cell in others:
            if cell is not None and cell.ratio is not None and cell.ratio.separates:
                where = "" if line.name == "all" else f": {line.name}"
                found.append(times_faster(_marked(name, cell), cell.ratio, _marked(*first)) + where)
    cells = (cell for line in alignment.lines for cell in line.cells if cell is not None)
    if found and any(len(cell.row.results) == 1 for cell in cells):
        found.append(LONE_JOBS)
    return found


def _marked(name: str, cell: Cell | None) -> str:
    doubted = cell is not None and cell.row.verdict is Verdict.SUSPECT
    return f"{name} [suspect]" if doubted else name


def _dimensions(row: Row) -> dict[str, Any]:
    first, spec = row.first, row.spec
    source: Any = first if first is not None else spec
    facts = {name: getattr(source, name) for name in ("model", "runtime", "device", "threads", "streams", "batch")}
    return {"host": row.host, "hint": spec.hint, **facts}


def _keyed(facts: list[dict[str, Any]], rows: list[Row], varying: Sequence[str]) -> dict[tuple[str, ...], Row]:
    keyed: dict[tuple[str, ...], Row] = {}
    for fact, row in zip(facts, rows, strict=True):
        keyed.setdefault(tuple(str(fact[name]) for name in varying), row)
    return keyed


def _name(key: tuple[str, ...], varying: Sequence[str]) -> str:
    words = (
        value if name in ("host", "runtime", "model") else f"{name} {value}"
        for name, value in zip(varying, key, strict=True)
    )
    return " ".join(words) or "all"


def _cells(rows: Sequence[Row | None]) -> tuple[Cell | None, ...]:
    baseline = rows[0]
    cells: list[Cell | None] = []
    for index, row in enumerate(rows):
        if row is None:
            cells.append(None)
        elif index == 0 or baseline is None:
            cells.append(Cell(row, why_not=None if index == 0 else "the first run does not have it"))
        else:
            cells.append(_compared(row, baseline))
    return tuple(cells)


def _compared(row: Row, baseline: Row) -> Cell:
    for each, whose in ((row, ""), (baseline, "the first run is ")):
        if each.verdict is Verdict.UNRELIABLE:
            return Cell(row, why_not=f"not ranked: {whose}unreliable")
        if each.first is None or not each.ranked:
            return Cell(row, why_not=each.problem or "no result")
    assert row.first is not None
    assert baseline.first is not None
    if row.first.streams != baseline.first.streams:
        return Cell(row, why_not="another number of streams: compare frames per second")
    ratio = speed_ratio(_frame_times(row), _frame_times(baseline))
    return Cell(row, ratio, None if ratio else "too few samples")


def _frame_times(row: Row) -> Jobs:
    """Milliseconds a frame, so that batches of different sizes can be compared."""
    return [[sample / result.batch for sample in result.samples_ms] for result in row.results if result.samples_ms]


def _differences(
    runs: Sequence[Run], tables: Sequence[Sequence[Row]], varying: Sequence[str]
) -> Mapping[str, tuple[str, ...]]:
    described = [
        _described(run.entries, [_dimensions(row) for row in rows]) for run, rows in zip(runs, tables, strict=True)
    ]
    names = [name for name in described[0] if name not in varying]
    values = {name: tuple(each[name] for each in described) for name in names}
    return {name: value for name, value in values.items() if len(set(value)) > 1}


def _described(entries: Sequence[Entry], facts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What a run was made with, each as one text."""
    described = {name: _joined(fact[name] for fact in facts) for name in DIMENSIONS}
    results = [entry.result for entry in entries if entry.result is not None]
    conditions = [result.conditions for result in results]
    specs = [entry.request.spec for entry in entries]
    return described | {
        "model digest": _joined(result.model_digest[:19] for result in results),
        "runtime version": _joined(f"{result.runtime} {result.runtime_version}" for result in results),
        "input": _joined(
            f"{len(spec.input.digests)} pictures {spec.input.digests[0][:19]}"
            if isinstance(spec.input, PictureInput)
            else f"random seed {spec.input.seed}"
            for spec in specs
        ),
        "length": _joined(
            f"{spec.duration_s:g} s" if spec.duration_s else f"{spec.iterations or 'default'} iterations"
            for spec in specs
        ),
        "batch mode": _joined(result.batch_mode for result in results),
        "machine": _joined(f"{each.cpu_model or each.machine}" for each in conditions),
        "processors allowed": _joined(f"{each.cpus_allowed:g}" for each in conditions),
        "governor": _joined(each.governor for each in conditions),
        "kernel": _joined(each.kernel for each in conditions),
        "agent version": _joined(each.agent_revision or each.agent_version for each in conditions),
    }


def _joined(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys("-" if value is None else str(value) for value in values)) or "-"

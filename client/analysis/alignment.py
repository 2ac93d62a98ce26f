"""Several runs side by side: which configurations correspond, what differs between the runs, and by how much."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from client.analysis.comparison import LONE_JOBS, Jobs, Ratio, speed_ratio, times_faster
from client.analysis.facets import FACETS, Facet, differences, varying
from client.analysis.runs import Entry, Run
from client.analysis.summary import Row, rows_of
from contract.specs import input_of, length_of
from contract.validity import Verdict


@dataclass(frozen=True)
class Cell:
    """One configuration in one run, against the same in the first run."""

    row: Row
    ratio: Ratio | None = None
    """How many times faster than in the first run, by median time a frame; None where that cannot be said."""
    why_not: str | None = None
    """Why there is no ratio."""
    differs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Facets that are not as in the first run: by label their value there and here."""

    @property
    def with_what(self) -> str:
        """What differs, in words that follow a ratio; empty when the same was measured."""
        words = (f"{label} {here} against {there}" for label, (there, here) in self.differs.items())
        return ", ".join(words)


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
    told = [facet for facet in varying(tables, Facet.identity) if facet.decides]
    keyed = [_keyed(table, told) for table in tables]
    keys = dict.fromkeys(key for table in keyed for key in table)
    lines = tuple(Line(" ".join(key) or "all", _cells([table.get(key) for table in keyed])) for key in keys)
    return Alignment(lines, _differences(runs, tables, told))


def sentences(names: Sequence[str], alignment: Alignment) -> list[str]:
    """Where a run is faster or slower than the first one, and the samples can tell; `names` are those of the runs."""
    found = []
    for line in alignment.lines:
        first, *others = zip(names, line.cells, strict=True)
        for name, cell in others:
            if cell is not None and cell.ratio is not None and cell.ratio.separates:
                where = "" if line.name == "all" else f": {line.name}"
                unlike = f" ({cell.with_what})" if cell.differs else ""
                found.append(times_faster(_marked(name, cell), cell.ratio, _marked(*first)) + where + unlike)
    cells = (cell for line in alignment.lines for cell in line.cells if cell is not None)
    if found and any(len(cell.row.results) == 1 for cell in cells):
        found.append(LONE_JOBS)
    return found


def _marked(name: str, cell: Cell | None) -> str:
    doubted = cell is not None and cell.row.verdict is Verdict.SUSPECT
    return f"{name} [suspect]" if doubted else name


def _keyed(rows: Sequence[Row], told: Sequence[Facet]) -> dict[tuple[str, ...], Row]:
    """Rows by what they are called; those that differ in nothing that is told are counted, so that none is lost."""
    keyed: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = tuple(facet.tag(facet.identity(row)) for facet in told)
        numbers = ((f"({number})",) for number in count(2))
        while key in keyed:
            key = (*key[: len(told)], *next(numbers))
        keyed[key] = row
    return keyed


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
    differs = differences(baseline, row)
    for each, whose in ((row, ""), (baseline, "the first run is ")):
        if each.verdict is Verdict.UNRELIABLE:
            return Cell(row, why_not=f"not ranked: {whose}unreliable", differs=differs)
        if each.first is None or not each.ranked:
            return Cell(row, why_not=each.problem or "no result", differs=differs)
    if "streams" in differs:
        return Cell(row, why_not="another number of streams: compare frames per second", differs=differs)
    ratio = speed_ratio(_frame_times(row), _frame_times(baseline))
    return Cell(row, ratio, None if ratio else "too few samples", differs)


def _frame_times(row: Row) -> Jobs:
    """Milliseconds a frame, so that batches of different sizes can be compared."""
    return [[sample / result.batch for sample in result.samples_ms] for result in row.results if result.samples_ms]


def _differences(
    runs: Sequence[Run], tables: Sequence[Sequence[Row]], told: Sequence[Facet]
) -> Mapping[str, tuple[str, ...]]:
    described = [_described(run.entries, rows) for run, rows in zip(runs, tables, strict=True)]
    names = [name for name in described[0] if name not in {facet.label for facet in told}]
    values = {name: tuple(each[name] for each in described) for name in names}
    return {name: value for name, value in values.items() if len(set(value)) > 1}


def _described(entries: Sequence[Entry], rows: Sequence[Row]) -> dict[str, str]:
    """What a run was made with, each as one text."""
    described = {facet.label: _joined(facet.value(row) for row in rows) for facet in FACETS}
    results = [entry.result for entry in entries if entry.result is not None]
    conditions = [result.conditions for result in results]
    specs = [entry.request.spec for entry in entries]
    return described | {
        "model digest": _joined(result.model_digest[:19] for result in results),
        "runtime version": _joined(f"{result.runtime} {result.runtime_version}" for result in results),
        "input": _joined(map(input_of, specs)),
        "length": _joined(map(length_of, specs)),
        "machine": _joined(f"{each.cpu_model or each.machine}" for each in conditions),
        "CPUs allowed": _joined(f"{each.cpus_allowed:g}" for each in conditions),
        "governor": _joined(each.governor for each in conditions),
        "kernel": _joined(each.kernel for each in conditions),
        "agent version": _joined(each.agent_revision or each.agent_version for each in conditions),
    }


def _joined(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys("-" if value is None else str(value) for value in values)) or "-"

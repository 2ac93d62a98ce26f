"""A run as a table: one row for each configuration on each host, its repeats put together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from client.analysis.comparison import spread
from client.analysis.facets import varying
from client.analysis.runs import Entry, Run
from contract.devices import DeviceStep
from contract.jobs import JobState
from contract.results import BatchMode, BenchmarkResult, LatencySummary
from contract.specs import BenchmarkSpec, ImageInput, label
from contract.validity import Verdict

WORST_LAST = tuple(Verdict)
PERCENTILES = ("p50", "p90", "p99")


@dataclass(frozen=True)
class Row:
    """One configuration on one host. Figures are medians over its jobs; None is not known or not supported."""

    host: str
    spec: BenchmarkSpec
    entries: tuple[Entry, ...]
    results: tuple[BenchmarkResult, ...]
    """The results of the jobs that ended well."""

    @property
    def first(self) -> BenchmarkResult | None:
        """The first job's result: what all of them have in common is read from it."""
        return self.results[0] if self.results else None

    @property
    def verdict(self) -> Verdict | None:
        """The worst of its jobs; None without a result."""
        verdicts = [result.validity.verdict for result in self.results]
        return max(verdicts, key=WORST_LAST.index, default=None)

    @property
    def problem(self) -> str | None:
        """Why jobs are missing from the figures, None when none are."""
        for entry in self.entries:
            if entry.error is not None:
                return entry.error
            if entry.job is None or not entry.job.state.ended:
                return entry.job.state.value if entry.job else "not submitted"
            if entry.job.state is not JobState.SUCCEEDED:
                detail = f": {entry.job.error.detail}" if entry.job.error else ""
                return f"{entry.job.state.value}{detail}"
        return None

    @property
    def ranked(self) -> bool:
        """Whether it may be compared with others: measured, and not unreliable."""
        return self.verdict in (Verdict.OK, Verdict.SUSPECT) and self.median_ms is not None

    @property
    def latencies(self) -> list[LatencySummary]:
        """The latencies of each job, summed up."""
        return [result.latency for result in self.results if result.latency is not None]

    @property
    def samples_ms(self) -> list[list[float]]:
        """Latencies of each job."""
        return [result.samples_ms for result in self.results if result.samples_ms]

    @property
    def window_fps(self) -> list[list[float]]:
        """Rates of the windows of each job."""
        return [[window.fps for window in result.windows] for result in self.results if result.windows]

    @property
    def median_ms(self) -> float | None:
        """Median of the jobs' medians."""
        return self.percentile_ms("p50")

    @property
    def interval_ms(self) -> tuple[float, float] | None:
        """95 % interval of the median of a lone job; smallest and largest median of several."""
        latencies = self.latencies
        if len(latencies) == 1:
            return latencies[0].median_interval_ms
        return spread([latency.p50_ms for latency in latencies])

    def percentile_ms(self, name: str) -> float | None:
        """Median of the jobs' percentiles, None when one of them cannot support it."""
        return _median(getattr(latency, f"{name}_ms") for latency in self.latencies)

    @property
    def load_ms(self) -> float | None:
        """Milliseconds from the model's bytes to an interpreter that is ready."""
        return _median(result.load_ms for result in self.results)

    @property
    def first_inference_ms(self) -> float | None:
        """The inference after loading."""
        return _median(result.first_inference_ms for result in self.results)

    @property
    def fps(self) -> float | None:
        """Frames per second."""
        return _median(result.fps for result in self.results)


def _median(values: Iterable[float | None]) -> float | None:
    found = list(values)
    known = [value for value in found if value is not None]
    return median(known) if known and len(known) == len(found) else None


def rows_of(run: Run) -> list[Row]:
    """The rows of a run, in the order in which its configurations were asked for, host by host."""
    groups: dict[tuple[str, BenchmarkSpec], list[Entry]] = {}
    for entry in run.entries:
        groups.setdefault((entry.host, _without_images(entry.request.spec)), []).append(entry)
    hosts = list(dict.fromkeys(host for host, _ in groups))
    return [_row(host, spec, entries) for wanted in hosts for (host, spec), entries in groups.items() if host == wanted]


def _without_images(spec: BenchmarkSpec) -> BenchmarkSpec:
    """A specification that can be a key of a dictionary: lists of digests cannot."""
    if isinstance(spec.input, ImageInput):
        return spec.model_copy(update={"input": BenchmarkSpec().input})
    return spec


def _row(host: str, spec: BenchmarkSpec, entries: Sequence[Entry]) -> Row:
    done = (entry.result for entry in entries if entry.job is not None and entry.job.state is JobState.SUCCEEDED)
    return Row(host, spec, tuple(entries), tuple(result for result in done if result is not None))


def footnotes(rows: Sequence[Row]) -> list[str]:
    """Why figures are missing, and why runs are not ok: each reason once."""
    notes: dict[str, None] = {}
    for row in rows:
        for latency in row.latencies:
            for name, why in latency.unsupported.items():
                if name.removesuffix("_ms") in PERCENTILES:
                    notes[f"{name.removesuffix('_ms')} n/a: {why}"] = None
    for row in rows:
        for line in selection_lines(row):
            notes[line] = None
    for row in rows:
        if row.problem is not None:
            notes[f"{title(row, rows)}: {row.problem}"] = None
        for result in row.results:
            for finding in result.validity.reasons:
                notes[f"{title(row, rows)}: {finding.verdict}: {finding.detail}"] = None
            if result.batch_mode is BatchMode.LOOP and result.batch_detail:
                notes[f"batch {result.batch} as a loop: {result.batch_detail}"] = None
    return list(notes)


def selection_lines(row: Row) -> list[str]:
    """Why its devices were chosen, what else was considered, and what happened to them."""
    lines = []
    for result in row.results:
        selection = result.selection
        if selection is None or not (selection.rejected or len(selection.events) > 1):
            continue
        lines.append(f"{selection.requested}: {selection.reason}")
        lines += [
            f"  {each.runtime}{'' if each.device == '*' else f' {each.device}'}: {each.reason}"
            for each in selection.rejected
        ]
        lines += [
            f"  {event.at_s:.2f} s: {event.runtime} {event.device} {STEP_WORDS[event.step]}"
            f"{f': {event.detail}' if event.detail else ''}"
            for event in selection.events[len(selection.events) == 1 :]
        ]
        if len(selection.iterations) > 1:
            lines.append(f"  timed: {', '.join(f'{count} on {name}' for name, count in selection.iterations.items())}")
    return lines


STEP_WORDS = {
    DeviceStep.STARTED: "starts",
    DeviceStep.COMPILING: "compiles",
    DeviceStep.HANDED_OVER: "takes over",
    DeviceStep.REJECTED: "is not used",
    DeviceStep.LOST: "is lost",
}


def title(row: Row, rows: Sequence[Row]) -> str:
    """What tells a row from the others, in words."""
    several_hosts = len({other.host for other in rows}) > 1
    if row.first is None:
        words = label(row.spec)
    else:
        told = varying([[other for other in rows if other.first is not None]])
        words = " ".join(facet.tag(facet.value(row)) for facet in told if facet.label != "host")
        words = words or ("" if several_hosts else row.first.runtime)
    return " ".join(part for part in (row.host if several_hosts else "", words) if part)

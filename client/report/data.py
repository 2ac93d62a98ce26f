"""From what was read to what the page is given."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from client.analysis.summary import Row, rows_of
from client.report.configurations import FPS_ROW, LATENCY_ROW, configuration, reasons, window_channels
from client.report.layers import comparisons, profile
from client.report.model import Component, Condition, Configuration, Program, ReportData
from client.report.names import Name, names_of
from client.report.recordings import Recorded, components, recordings
from client.report.sources import JobFolder, Sources
from client.report.statements import Headline, headline, notices, statements, times_slower
from contract.jobs import CommandRequest
from contract.results import CommandResult

MIB = 1024 * 1024
WINDOW_ROWS = (
    Component(key=FPS_ROW, name="Frames per second", unit="fps", primary=True, zero_based=True, source="benchmark"),
    Component(
        key=LATENCY_ROW,
        name="Latency, median of a window",
        unit="ms",
        primary=True,
        zero_based=True,
        source="benchmark",
    ),
)
THINNING = (
    "Lines are thinned by M4 (Jugel et al., VLDB 2014): of each stretch the first, last, smallest and largest value "
    "stay, so no peak is lost. Statistics come from every sample."
)


def report_data(sources: Sources, title: str | None = None) -> ReportData:
    """Everything that the page shows."""
    rows = [(name, row) for name, run in sources.runs for row in rows_of(run)]
    names = names_of(rows)
    called = {id(row): name.whole for (_, row), name in zip(rows, names, strict=True)}
    made = [
        configuration(number, run, row, name) for number, ((run, row), name) in enumerate(zip(rows, names, strict=True))
    ]
    programs = [_program(len(made) + number, folder) for number, folder in enumerate(sources.programs)]
    recorded = [*_recorded_rows(rows, names), *_recorded_programs(sources.programs, len(made))]
    windows = [row for row in WINDOW_ROWS if any(row.key in each.extra for each in recorded)]
    shown = components(recorded, windows)
    lines = recordings(recorded, shown)
    conditions = _conditions(made)
    only_rows = [row for _, row in rows]
    for each, times in zip(made, times_slower(only_rows), strict=True):
        each.times_slower = times
    first = headline(only_rows, lambda row: called[id(row)]) if rows else _headline_without_rows(sources)
    return ReportData(
        edgerun_version=version("edgerun"),
        generated_at=datetime.now(UTC).isoformat(timespec="seconds"),
        title=title or _title(made, sources),
        summary=_summary(made, sources, conditions),
        headline=first.main,
        headline_rest=first.rest,
        statements=statements(sources.runs, only_rows, lambda row: called[id(row)]) if rows else [],
        notices=notices(made, conditions),
        configurations=made,
        programs=programs,
        conditions=conditions,
        components=shown,
        recordings=lines,
        profiles=[profile(number, name, None, result) for number, (name, result) in enumerate(sources.profiles)],
        layer_comparisons=comparisons([result for _, result in sources.profiles]),
        thinning=THINNING if any(line.thinned for each in lines for line in each.channels.values()) else None,
    )


def _recorded_rows(rows: Sequence[tuple[str, Row]], names: Sequence[Name]) -> list[Recorded]:
    return [
        Recorded(owner, name.title, name.subtitle, entry.repeat, entry.telemetry, window_channels(entry))
        for owner, ((_, row), name) in enumerate(zip(rows, names, strict=True))
        for entry in row.entries
        if entry.telemetry is not None and entry.telemetry.t_s
    ]


def _recorded_programs(folders: Sequence[JobFolder], first: int) -> list[Recorded]:
    return [
        Recorded(first + number, folder.name, _command(folder), 0, folder.telemetry, {})
        for number, folder in enumerate(folders)
        if folder.telemetry is not None and folder.telemetry.t_s
    ]


def _command(folder: JobFolder) -> str:
    request = folder.job.request
    return " ".join(request.spec.argv) if isinstance(request, CommandRequest) else ""


def _program(number: int, folder: JobFolder) -> Program:
    result = folder.result if isinstance(folder.result, CommandResult) else None
    error = folder.job.error
    return Program(
        id=number,
        name=folder.name,
        host=result.conditions.device_name if result else "",
        command=_command(folder),
        exit_code=result.exit_code if result else None,
        duration_s=result.duration_s if result else None,
        cpu_s=result.cpu_s if result else None,
        memory_max_mib=result.max_resident_bytes / MIB if result and result.max_resident_bytes else None,
        verdict=result.validity.verdict.value if result else None,
        reasons=reasons(result.validity) if result else [],
        problem=error.detail if error else None,
    )


def _conditions(made: Sequence[Configuration]) -> list[Condition]:
    names = dict.fromkeys(name for each in made for name in each.conditions)
    found = []
    for name in names:
        values = [each.conditions.get(name, "n/a") for each in made]
        known = {value for value in values if value != "n/a"}
        found.append(Condition(name=name, values=values, differs=len(known) > 1))
    return found


def _title(made: Sequence[Configuration], sources: Sources) -> str:
    models = dict.fromkeys(each.conditions["model"] for each in made if "model" in each.conditions)
    models |= dict.fromkeys(result.model for _, result in sources.profiles)
    hosts = dict.fromkeys(each.host for each in made)
    programs = dict.fromkeys(folder.name for folder in sources.programs)
    what = ", ".join(list(models)[:3]) or ", ".join(list(programs)[:3]) or "Report"
    if len(hosts) > 1:
        return f"{what} on {len(hosts)} devices"
    return f"{what} on {next(iter(hosts))}" if hosts else what


def _summary(made: Sequence[Configuration], sources: Sources, conditions: Sequence[Condition]) -> str:
    parts = []
    if made:
        parts.append(f"{len(made)} configuration{'s' * (len(made) != 1)}")
    if len(sources.runs) > 1:
        parts.append(f"{len(sources.runs)} runs")
    if sources.programs:
        parts.append(f"{len(sources.programs)} program{'s' * (len(sources.programs) != 1)}")
    if sources.profiles:
        parts.append(f"{len(sources.profiles)} profile{'s' * (len(sources.profiles) != 1)}")
    shared = {condition.name: condition.values[0] for condition in conditions if not condition.differs}
    if "length" in shared:
        parts.append(f"{shared['length']} each")
    if "model digest" in shared:
        parts.append(f"same model ({shared['model digest']})")
    if "input" in shared:
        parts.append(f"input {shared['input']}")
    text = ", ".join(parts)
    dates = sorted(run.created_at for _, run in sources.runs)
    return f"{text}. Measured {dates[0]:%Y-%m-%d %H:%M} UTC." if dates else f"{text}."


def _headline_without_rows(sources: Sources) -> Headline:
    if sources.profiles:
        name, result = sources.profiles[0]
        slowest = max(result.operators, key=lambda operator: operator.mean_us, default=None)
        if slowest is not None:
            index = slowest.number if slowest.operator is None else slowest.operator  # as in the table
            what = f"{slowest.kind or slowest.name} (operator {index})"
            return Headline(f"{what} takes most of the time", f": {slowest.share:.1%} of an inference in {name}.")
    ended = sum(folder.job.error is None for folder in sources.programs)
    return Headline(f"{ended} of {len(sources.programs)} programs ended well.")

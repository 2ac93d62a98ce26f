"""Profiles side by side, operator by operator."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from client.analysis.operators import OperatorLine, align_operators, whole
from client.analysis.runs import RUN_FILE
from client.console import Output, emit, plain_table
from client.files.saved import RunError
from client.report.sources import read_sources
from contract.results import ProfileResult

RATED_FROM_US = 5.0
"""Below this a ratio would be one of rounding errors."""


def read_profiles(paths: Sequence[Path]) -> dict[str, ProfileResult]:
    """Profiles by a short name of their files; empty when the paths are runs. Raises RunError for a mixture."""
    if all((path / RUN_FILE).exists() or path.name == RUN_FILE or not path.exists() for path in paths):
        return {}
    found = read_sources(paths)
    if found.profiles and (found.runs or found.programs):
        raise RunError("profiles are compared with profiles, and runs with runs")
    return dict(found.profiles)


def compare_profiles(profiles: Mapping[str, ProfileResult], output: Output) -> None:
    """Print what each operator costs in each profile, and the last against the first."""
    lines = align_operators(list(profiles.values()))
    names = list(profiles)
    emit(
        output,
        document=lambda: {
            "profiles": [{"profile": name, **_settings(result)} for name, result in profiles.items()],
            "operators": [_row(names, line) for line in lines],
        },
        rows=lambda: [_row(names, line) for line in lines],
        view=lambda: _view(profiles, lines),
    )


def _settings(result: ProfileResult) -> dict[str, Any]:
    return {
        "model": result.model,
        "model_digest": result.model_digest,
        "runtime": f"{result.runtime} {result.runtime_version}",
        "device": result.device,
        "precision": result.precision,
        "method": result.method,
        "kernels": result.spec.kernels.value,
        "threads": result.threads,
        "iterations": result.iterations,
        "mean_ms": result.latency.mean_ms if result.latency else None,
        "explained": result.explained,
        "verdict": result.validity.verdict.value,
    }


def _row(names: list[str], line: OperatorLine) -> dict[str, Any]:
    cells = dict(zip(names, line.cells, strict=True))
    return {
        "operator": line.index,
        "kind": line.kind,
        "output": line.output,
        "output_shape": "x".join(map(str, line.shape)) if line.shape else None,
        **{f"{name}: mean_us": cell.mean_us if cell else None for name, cell in cells.items()},
        **{f"{name}: share": cell.share if cell else None for name, cell in cells.items()},
        **{f"{name}: executed_as": " + ".join(cell.executed_as) if cell else None for name, cell in cells.items()},
        "difference_us": line.difference_us,
        "ratio": line.ratio,
    }


def _view(profiles: Mapping[str, ProfileResult], lines: list[OperatorLine]) -> RenderableType:
    names = list(profiles)
    columns = ("profile", "model", "runtime", "device", "method", "kernels", "threads", "ms a run", "verdict")
    settings = plain_table(*columns)
    for name, result in profiles.items():
        each = _settings(result)
        mean = "n/a" if each["mean_ms"] is None else f"{each['mean_ms']:.3f}"
        words = (name, *(str(each[column]) for column in columns[1:7]), mean, each["verdict"])
        settings.add_row(*map(Text, words))
    times = [f"{name} us" for name in names]
    right = ("#", *times, "difference", "ratio")
    table = plain_table("#", "operator", "output", *times, "difference", "ratio", right=right)
    for line in lines:
        index = "-" if line.index is None else str(line.index)
        cells = ["-" if cell is None else f"{cell.mean_us:.1f}" for cell in line.cells]
        table.add_row(index, Text(line.kind), "x".join(map(str, line.shape or ())), *cells, *_differences(line))
    table.add_row("", "the whole graph", "", *_totals(profiles))
    return Group(settings, Text(), table)


def _differences(line: OperatorLine) -> tuple[str, str]:
    if line.difference_us is None:
        return "", ""
    first = line.cells[0]
    rated = line.ratio is not None and first is not None and first.mean_us >= RATED_FROM_US
    return f"{line.difference_us:+.1f}", f"{line.ratio:.2f}" if rated else ""


def _totals(profiles: Mapping[str, ProfileResult]) -> list[str]:
    means = list(whole(profiles).values())
    cells = ["n/a" if mean is None else f"{mean:.1f}" for mean in means]
    first, last = means[0], means[-1]
    if first is None or last is None or not first:
        return [*cells, "", ""]
    return [*cells, f"{last - first:+.1f}", f"{last / first:.2f}"]

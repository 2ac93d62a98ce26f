"""Compare two trainings that `client run` brought back: how far each came, and what the hardware did meanwhile.

    python examples/compare.py runs/one-thread runs/all-cores

Reads `artifacts/summary.json` that train.py left, and the result and telemetry that the agent recorded beside it. Only
samples within the command's own phase count; a sensor the device does not have stays empty.
"""

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from contract.results import CommandResult
from contract.telemetry import Telemetry

Values = Sequence[float]


def growth(values: Values) -> float:
    """How much a counter grew."""
    return values[-1] - values[0]


GAUGES: tuple[tuple[str, str, Callable[[Values], float], float], ...] = (
    ("CPU used, mean %", "cpu_utilization_ratio", statistics.fmean, 100),
    ("CPU temperature, most °C", "cpu_temperature_celsius", max, 1),
    ("GPU temperature, most °C", "gpu_temperature_celsius", max, 1),
    ("memory used by the program, most MiB", "job_memory_bytes", max, 2**-20),
    ("memory used on the device, most MiB", "memory_used_bytes", max, 2**-20),
    ("disk written, MiB", "disk_written_bytes_total", growth, 2**-20),
    ("power, mean W", "power_watts", statistics.fmean, 1),
)
"""Title, metric, how a series becomes one number, and the factor of the unit shown."""


def main(folders: Sequence[str]) -> int:
    """Print one column a run."""
    if len(folders) < 2:
        print("usage: python examples/compare.py RUN RUN...", file=sys.stderr)
        return 2
    columns = [_column(Path(folder)) for folder in folders]
    titles = Column("", no_wrap=True, min_width=max(map(len, columns[0])))
    table = Table(titles, *(Path(folder).name for folder in folders), box=None)
    for title in columns[0]:
        table.add_row(title, *(column[title] for column in columns))
    Console().print(table)
    fastest = max(columns, key=lambda column: float(column["steps a second"]))
    others = [column for column in columns if column is not fastest]
    for other in others:
        ratio = float(fastest["steps a second"]) / float(other["steps a second"])
        print(f"{fastest['threads']} threads did {ratio:.2f} times as many steps a second as {other['threads']}")
    return 0


def _column(folder: Path) -> dict[str, str]:
    summary: dict[str, Any] = json.loads((folder / "artifacts" / "summary.json").read_text())
    result = CommandResult.model_validate_json((folder / "result.json").read_bytes())
    telemetry = Telemetry.model_validate_json((folder / "telemetry.json").read_bytes())
    reasons = ", ".join(reason.code for reason in result.validity.reasons)
    column = {
        "threads": str(summary["threads"] or "all"),
        "steps": str(summary["steps"]),
        "steps a second": f"{summary['steps_per_s']:.1f}",
        "accuracy": f"{summary['accuracy']:.3f}",
    }
    for title, metric, reduce, factor in GAUGES:
        values = _within_the_command(telemetry, metric)
        column[title] = f"{reduce(values) * factor:.1f}" if values else ""
    return {**column, "verdict": f"{result.validity.verdict} {reasons}".strip()}


def _within_the_command(telemetry: Telemetry, metric: str) -> list[float]:
    """The values of a metric's first series while the command ran."""
    key = next((key for key, info in telemetry.info.items() if info.metric == metric), None)
    phase = next((phase for phase in telemetry.phases if phase.name == "command"), None)
    if key is None or phase is None:
        return []
    end_s = phase.end_s if phase.end_s is not None else telemetry.t_s[-1]
    times = zip(telemetry.t_s, telemetry.series[key], strict=True)
    return [value for t_s, value in times if phase.start_s <= t_s <= end_s and value is not None]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

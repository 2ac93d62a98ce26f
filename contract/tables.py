"""Tables as CSV: the one place that writes them."""

import csv
import io
from collections.abc import Iterable, Iterator

from contract.telemetry import Telemetry
from contract.text import visible

_FORMULA = tuple("=+-@＝＋－＠")  # noqa: RUF001
"""A spreadsheet computes a cell that begins so, in full width too."""


def csv_line(values: Iterable[object]) -> str:
    """A row with its line feed; None is an empty cell.

    Text that a spreadsheet would compute begins with an apostrophe, and control characters are written as escapes.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([_cell(value) for value in values])
    return line.getvalue()


def telemetry_lines(telemetry: Telemetry) -> Iterator[str]:
    """A recording as CSV: a row a sample with its time, its phase and a column a series; absent values are empty."""
    yield csv_line(["t_s", "phase", *telemetry.series])
    for index, t_s in enumerate(telemetry.t_s):
        values = (series[index] for series in telemetry.series.values())
        yield csv_line([t_s, _phase_at(telemetry, t_s), *values])


def _phase_at(telemetry: Telemetry, t_s: float) -> str:
    """Name of the phase at a time of the recording, empty outside of all."""
    names = (
        phase.name for phase in telemetry.phases if phase.start_s <= t_s and (phase.end_s is None or t_s < phase.end_s)
    )
    return next(names, "")


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

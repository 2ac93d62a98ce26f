"""Tables as CSV: the one place that writes them."""

import csv
import io
from collections.abc import Iterable

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

"""Label files: one name a line, or an index before each name."""

import re
from collections.abc import Mapping

_INDEXED_LINE = re.compile(r"(\d+)(?:\s*[:,]\s*|\s+)(\S.*)")


INDEX_DIGITS_MAX = 9
LABEL_MAX = 1000
"""Characters of one name."""


class LabelError(ValueError):
    """The bytes are not a label file."""


def parse_labels(data: bytes) -> Mapping[int, str]:
    """Read a label file in either common format and return names by class index.

    Where every line begins with a rising index and a name follows (`0 background`), those indices count; else
    the line number does, from 0. Blank lines at the end are ignored.

    Raises LabelError for bytes that are not UTF-8 text, hold no label, or one beyond the bounds.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelError(f"label file is not UTF-8 text (byte {error.start})") from error
    if "\0" in text:
        raise LabelError("label file holds NUL bytes: it is not text")
    lines = text.rstrip().splitlines()
    if not lines:
        raise LabelError("label file holds no label")
    labels = _indexed(lines) or {number: line.strip() for number, line in enumerate(lines)}
    for index, name in labels.items():
        if len(name) > LABEL_MAX:
            raise LabelError(f"label {index} has {len(name)} characters, at most {LABEL_MAX} are allowed")
    return labels


def _indexed(lines: list[str]) -> dict[int, str] | None:
    labels: dict[int, str] = {}
    previous = -1
    for number, line in enumerate(lines, 1):
        match = _INDEXED_LINE.fullmatch(line.strip())
        if match is None:
            return None
        if len(match[1]) > INDEX_DIGITS_MAX:
            digits = len(match[1])
            raise LabelError(f"line {number}: an index of {digits} digits, at most {INDEX_DIGITS_MAX} are allowed")
        if int(match[1]) <= previous:
            return None
        previous = int(match[1])
        labels[previous] = match[2].strip()
    return labels

"""Spans of time as people write and read them: 500ms, 60s, 10m, 2h."""

import re

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PATTERN = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds; a number without a unit is seconds. Raises ValueError."""
    match = _PATTERN.fullmatch(text.strip().lower())
    unit_s = _UNITS_S.get(match[2] or "s") if match else None
    if match is None or unit_s is None:
        raise ValueError(f"{text!r} is not a duration: write 500ms, 60s, 10m or 2h")
    return float(match[1]) * unit_s


def format_duration(seconds: float) -> str:
    """Two figures that matter: 0.25 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    for unit_s, unit, below_s, below in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit_s:
            rest = whole % unit_s // below_s
            return f"{whole // unit_s} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"

"""What the configurations of a report are called: by what tells them apart, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client.analysis.summary import Row, precision_of

HEADS = ("run", "host", "model")
"""Stand in the first line of a label, where they differ."""
SETTINGS = ("runtime", "device", "asked for", "precision", "cached", "hint", "streams", "threads", "batch")
UNREMARKABLE = {"streams": (None, 1), "batch": (None, 1), "cached": (None, False), "precision": (None, "n/a")}
"""Values that need no mention where all configurations share them."""
TITLE_WORDS = 2
"""Of what differs, where run, host and model do not; the rest stands in the second line."""


@dataclass(frozen=True)
class Name:
    """A label of two lines, and what stands in a sentence: only what differs."""

    title: str
    subtitle: str
    whole: str


def names_of(rows: Sequence[tuple[str, Row]]) -> list[Name]:
    """A name for each row of each run; all of them are different."""
    facts = [_facts(run, row) for run, row in rows]
    varying = [name for name in facts[0] if len({str(fact[name]) for fact in facts}) > 1] if facts else []
    names = [_name(fact, varying) for fact in facts]
    return [_told_apart(name, names, index) for index, name in enumerate(names)]


def _facts(run: str, row: Row) -> dict[str, Any]:
    source: Any = row.first if row.first is not None else row.spec
    wanted = ("model", "runtime", "device", "threads", "streams", "batch")
    facts = {name: getattr(source, name, None) for name in wanted}
    measured = {"precision": precision_of(row.first), "cached": row.first.loaded_from_cache} if row.first else {}
    asked = {"asked for": row.spec.device, "precision": row.spec.precision, "cached": None, "hint": row.spec.hint}
    return {"run": run, "host": row.host, **facts, **asked, **measured}


def _name(fact: Mapping[str, Any], varying: Sequence[str]) -> Name:
    heads = [str(fact[name]) for name in HEADS if name in varying]
    differing = [_words(name, fact[name]) for name in SETTINGS if name in varying]
    constant = [name for name in SETTINGS if name not in varying and name != "asked for"]
    shared = [_words(name, fact[name]) for name in constant if _worth_saying(name, fact[name])]
    if heads:
        title, subtitle = " · ".join(heads), [*differing, *shared]
    else:
        title = ", ".join(differing[:TITLE_WORDS]) or fact["host"]
        subtitle = [*differing[TITLE_WORDS:], *shared, *([fact["host"]] if differing else [])]
    return Name(title, ", ".join(subtitle), ", ".join([*heads, *differing]) or fact["host"])


def _worth_saying(name: str, value: Any) -> bool:
    return value not in UNREMARKABLE.get(name, (None,))


def _words(name: str, value: Any) -> str:
    if name in ("runtime", "device", "precision"):
        return str(value or f"{name} as the agent chooses")
    if name == "asked for":
        return f"asked for {value}"
    if name == "cached":
        return "from cache" if value else "not from cache"
    if name == "hint":
        return f"{value} hint" if value else "no hint"
    if name == "batch":
        return f"batch {value}"
    return f"{value} {name.removesuffix('s') if value == 1 else name}" if value else f"{name} as the agent chooses"


def _told_apart(name: Name, names: Sequence[Name], index: int) -> Name:
    """Configurations that differ in nothing that is named are counted."""
    earlier = sum(other == name for other in names[:index])
    if not earlier:
        return name
    return Name(name.title, f"{name.subtitle} ({earlier + 1})", f"{name.whole} ({earlier + 1})")

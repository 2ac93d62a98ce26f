"""What the configurations of a report are called: by what tells them apart, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client.summary import Row

HEADS = ("run", "host", "model")
"""Stand in the first line of a label, where they differ."""
REMARKABLE = {"hint": (None,), "streams": (1, None), "precision": (None,), "batch": (1,)}
"""Values that need no mention where all configurations share them."""


@dataclass(frozen=True)
class Name:
    """A label of two lines, and both as one for a sentence."""

    title: str
    subtitle: str

    @property
    def whole(self) -> str:
        """For a sentence."""
        return f"{self.title}, {self.subtitle}" if self.subtitle else self.title


def names_of(rows: Sequence[tuple[str, Row]]) -> list[Name]:
    """A name for each row of each run; all of them are different."""
    facts = [_facts(run, row) for run, row in rows]
    varying = [name for name in facts[0] if len({str(fact[name]) for fact in facts}) > 1] if facts else []
    heads = [name for name in HEADS if name in varying] or ["host"]
    names = [_name(fact, heads, varying) for fact in facts]
    return [_told_apart(name, names, index) for index, name in enumerate(names)]


def _facts(run: str, row: Row) -> dict[str, Any]:
    source: Any = row.first if row.first is not None else row.spec
    wanted = ("model", "runtime", "device", "precision", "threads", "streams", "batch")
    facts = {name: getattr(source, name, None) for name in wanted}
    return {"run": run, "host": row.host, "hint": row.spec.hint, **facts}


def _name(fact: Mapping[str, Any], heads: Sequence[str], varying: Sequence[str]) -> Name:
    words = []
    runtime, device = fact["runtime"], fact["device"]
    words.append(" on ".join(str(word) for word in (runtime, device) if word) or "as the agent chooses")
    for name in ("precision", "hint", "streams", "threads", "batch"):
        if name in varying or fact[name] not in REMARKABLE.get(name, (None,)):
            words.append(_words(name, fact[name]))
    return Name(" · ".join(str(fact[name]) for name in heads), ", ".join(words))


def _words(name: str, value: Any) -> str:
    if name == "precision":
        return str(value or "precision as it is")
    if name == "hint":
        return f"{value} hint" if value else "no hint"
    if name == "batch":
        return f"batch {value}"
    return f"{value} {name.removesuffix('s') if value == 1 else name}" if value else f"{name} chosen by the agent"


def _told_apart(name: Name, names: Sequence[Name], index: int) -> Name:
    """Configurations that differ in nothing that is named are counted."""
    earlier = sum(other == name for other in names[:index])
    return Name(name.title, f"{name.subtitle} ({earlier + 1})") if earlier else name

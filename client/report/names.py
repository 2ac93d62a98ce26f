"""What the configurations of a report are called: by what tells them apart, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from client.analysis.facets import FACETS, Facet, varying
from client.analysis.summary import Row

HEADS = ("host", "model")
"""Stand in the first line of a label, where they differ, behind the run."""
TITLE_WORDS = 2
"""How many facets the first line names where run, host and model do not differ; the second has the rest."""


@dataclass(frozen=True)
class Name:
    """A label of two lines, and what stands in a sentence: only what differs."""

    title: str
    subtitle: str
    whole: str


def names_of(rows: Sequence[tuple[str, Row]]) -> list[Name]:
    """A name for each row of each run; all of them are different."""
    told = varying([[row for _, row in rows]])
    several_runs = len({run for run, _ in rows}) > 1
    names = [_name(run if several_runs else None, row, told) for run, row in rows]
    return [_told_apart(name, names, index) for index, name in enumerate(names)]


def _name(run: str | None, row: Row, told: Sequence[Facet]) -> Name:
    heads = [facet.value(row) for facet in FACETS if facet.label in HEADS and facet in told]
    heads = [run, *heads] if run is not None else heads
    settings = [facet for facet in FACETS if facet.label not in HEADS]
    differing = [facet.words(facet.value(row)) for facet in settings if facet in told]
    constant = [facet for facet in settings if facet not in told and facet.decides]
    shared = [facet.words(value) for facet in constant if (value := facet.value(row)) not in facet.unremarkable]
    if heads:
        title, subtitle = " · ".join(heads), [*differing, *shared]
    else:
        title = ", ".join(differing[:TITLE_WORDS]) or row.host
        subtitle = [*differing[TITLE_WORDS:], *shared, *([row.host] if differing else [])]
    return Name(title, ", ".join(subtitle), ", ".join([*heads, *differing]) or row.host)


def _told_apart(name: Name, names: Sequence[Name], index: int) -> Name:
    """Configurations that differ in nothing that is named are counted."""
    earlier = sum(other == name for other in names[:index])
    if not earlier:
        return name
    return Name(name.title, f"{name.subtitle} ({earlier + 1})", f"{name.whole} ({earlier + 1})")

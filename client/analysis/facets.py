"""What a configuration is described by: each facet once, for tables, names, comparisons and the combinations of a run.

A facet has two sides: what was asked for, which stands in the specification, and what ran, which stands in the result.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from contract.results import BatchMode, BenchmarkResult
from contract.specs import BenchmarkSpec

UNKNOWN = "-"
"""The text of what is not known: nothing asked for, and nothing ran."""


class Described(Protocol):
    """Something that has facets: one configuration on one host."""

    @property
    def host(self) -> str:
        """The host's name."""

    @property
    def spec(self) -> BenchmarkSpec:
        """What was asked for."""

    @property
    def first(self) -> BenchmarkResult | None:
        """What ran, None when nothing did."""


@dataclass(frozen=True)
class Facet:
    """One thing that configurations may differ in."""

    label: str
    """The heading of its column, and its name in sentences."""
    asked: Callable[[Described], object]
    """What was asked for; None when that was left to the agent."""
    ran: Callable[[BenchmarkResult], object] | None = None
    """What ran; None for what only can be asked for."""
    axis: str | None = None
    """The field of the specification that `client bench` varies."""
    alone: bool = False
    """Whether its value says enough without its label."""
    unremarkable: tuple[str, ...] = (UNKNOWN,)
    """Values that need no mention where all configurations share them."""
    always_shown: bool = False
    """Whether tables of runs have its column even where all rows agree and nobody asked for it."""
    shown_when_asked: bool = False
    """Whether they have it where somebody asked for it."""
    phrase: Callable[[str], str] | None = None
    """A value as people say it in a label of a chart, where that is not its tag."""
    absence: str | None = None
    """What such a label says where there is no value, if that means more than that it is not known."""
    decides: bool = True
    """Whether configurations that differ in nothing else did different work."""

    def value(self, configuration: Described) -> str:
        """What ran, else what was asked for, as text."""
        if self.ran is not None and configuration.first is not None:
            return _text(self.ran(configuration.first))
        return _text(self.asked(configuration))

    def identity(self, configuration: Described) -> str:
        """By what configurations of several runs correspond: what was asked for, else what ran."""
        asked = self.asked(configuration)
        return self.value(configuration) if asked is None else _text(asked)

    def tag(self, value: str) -> str:
        """A value as it stands in the name of a row."""
        return value if self.alone else f"{self.label} {value}"

    def words(self, value: str) -> str:
        """A value as it stands in a label of a chart."""
        if value == UNKNOWN:
            return self.absence or f"{self.label} not known"
        return self.phrase(value) if self.phrase is not None else self.tag(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return UNKNOWN if value is None else str(value)


def precision_of(result: BenchmarkResult) -> str | None:
    """The precision that ran, and the one that was asked for where that is another; None where neither is known."""
    ran, asked = result.precision, result.spec.precision
    if asked in (None, ran):
        return ran
    return f"{ran or 'n/a'} (not {asked})"


def batch_of(result: BenchmarkResult) -> str:
    """The batch, and how it was run when not as it is."""
    mode = "" if result.batch_mode is BatchMode.NATIVE else f" ({result.batch_mode})"
    return f"{result.batch}{mode}"


def _counted(unit: str) -> Callable[[str], str]:
    return lambda value: f"{value} {unit}{'' if value == '1' else 's'}"


FACETS: Sequence[Facet] = (
    Facet("host", lambda each: each.host, alone=True, always_shown=True),
    Facet("model", lambda each: each.spec.model, lambda ran: ran.model, "model", alone=True),
    Facet("runtime", lambda each: each.spec.runtime, lambda ran: ran.runtime, "runtime", alone=True, always_shown=True),
    Facet("asked for", lambda each: each.spec.device, axis="device", decides=False),
    Facet("device", lambda each: each.spec.device, lambda ran: ran.device, always_shown=True, phrase=str),
    Facet(
        "precision",
        lambda each: each.spec.precision,
        precision_of,
        "precision",
        shown_when_asked=True,
        phrase=str,
    ),
    Facet(
        "cache",
        lambda each: each.spec.model_cache or None,
        lambda ran: ran.loaded_from_cache,
        "model_cache",
        unremarkable=(UNKNOWN, "off"),
        phrase=lambda value: "from cache" if value == "on" else "not from cache",
    ),
    Facet(
        "hint",
        lambda each: each.spec.hint,
        lambda ran: ran.spec.hint,
        "hint",
        shown_when_asked=True,
        phrase=lambda value: f"{value} hint",
        absence="no hint",
    ),
    Facet(
        "streams",
        lambda each: each.spec.streams,
        lambda ran: ran.streams,
        "streams",
        unremarkable=(UNKNOWN, "1"),
        always_shown=True,
        phrase=_counted("stream"),
    ),
    Facet(
        "threads",
        lambda each: each.spec.threads,
        lambda ran: ran.threads,
        "threads",
        always_shown=True,
        phrase=_counted("thread"),
    ),
    Facet(
        "batch",
        lambda each: each.spec.batch,
        batch_of,
        "batch",
        unremarkable=(UNKNOWN, "1"),
        always_shown=True,
    ),
)
"""From the slowest changing to the fastest in the combinations of a run."""
AXES = tuple(facet.axis for facet in FACETS if facet.axis is not None)


DECIDING = tuple(facet for facet in FACETS if facet.decides)


def varying(
    groups: Iterable[Sequence[Described]], read: Callable[[Facet, Described], str] = Facet.value
) -> list[Facet]:
    """The facets in which configurations of one group differ, in any of the groups."""
    tables = list(groups)
    return [facet for facet in FACETS if any(len({read(facet, each) for each in table}) > 1 for table in tables)]


def differences(mine: Described, other: Described) -> Mapping[str, tuple[str, str]]:
    """What two configurations differ in, besides their hosts: by label the value of the one and of the other."""
    found = {facet.label: (facet.value(mine), facet.value(other)) for facet in DECIDING if facet.label != "host"}
    return {label: values for label, values in found.items() if values[0] != values[1]}

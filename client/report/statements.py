"""What a report says in words: only what the samples can tell."""

from collections.abc import Sequence
from dataclasses import dataclass

from client.analysis.alignment import align, sentences
from client.analysis.comparison import Ratio, speed_ratio
from client.analysis.ranking import Naming, groups, verdict_lines
from client.analysis.runs import Run
from client.analysis.summary import Row
from client.report.model import Condition, Configuration, Notice
from contract.validity import Verdict

SAME_WORK = ("model digest", "input", "threads")
"""What must agree for two latencies to be of the same work."""
PAYBACK_MIN = 2
"""Inferences after which a longer loading is worth a word."""
EXPLAINED_MAX = 2
"""Unreliable configurations whose reasons are repeated below the table."""


@dataclass(frozen=True)
class Headline:
    """The verdict in a sentence: what stands out, and the rest."""

    main: str
    rest: str = ""


def headline(rows: Sequence[Row], name: Naming) -> Headline:
    """Which configuration is the fastest, as far as the samples can tell."""
    ranked = [row for row in rows if row.ranked]
    if not ranked:
        measured = any(row.first is not None for row in rows)
        return Headline("Nothing here can be quoted.", _why_nothing(measured)) if rows else Headline("")
    alike = max(groups(ranked), key=len)
    if len(alike) == 1:
        return _alone(ranked, name)
    best, second, *_ = sorted(alike, key=lambda row: row.median_ms or 0)
    ratio = speed_ratio(best.samples_ms, second.samples_ms)
    takes = f"{milliseconds(best.median_ms)} an inference (median)"
    if ratio is None:
        return Headline(f"{name(best)} takes {takes}", f"; there are too few samples to rank it.{_doubt([best], name)}")
    if not ratio.separates:
        between = f"{name(best)} and {name(second)}"
        return Headline(f"No difference to be seen between {between}", f": {takes}.{_doubt([best, second], name)}")
    slowest = max(alike, key=lambda row: row.median_ms or 0)
    main = f"{name(best)} is the fastest: {takes}, {_times(ratio)} faster than {name(second)}"
    return Headline(main, _rest(best, second, slowest, name))


def _why_nothing(measured: bool) -> str:
    return " No measurement is reliable; why is said below." if measured else " No measurement has a result."


def _alone(ranked: Sequence[Row], name: Naming) -> Headline:
    best = max(ranked, key=lambda row: row.fps or 0)
    rate = f" and gives {_count(best.fps)} frames per second" if best.fps else ""
    main = f"{name(best)} takes {milliseconds(best.median_ms)} an inference (median){rate}."
    return Headline(main, _doubt([best], name))


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _times(ratio: Ratio) -> str:
    return f"{ratio.value:.3g} times"


def _rest(best: Row, second: Row, slowest: Row, name: Naming) -> str:
    words = ""
    if slowest is not second:
        ratio = speed_ratio(best.samples_ms, slowest.samples_ms)
        if ratio is not None and ratio.separates:
            words = f", {_times(ratio)} faster than {name(slowest)}"
    return f"{words}.{_payback(best, second)}{_doubt([best, second], name)}"


def _doubt(rows: Sequence[Row], name: Naming) -> str:
    """That what the sentence rests on is not beyond doubt."""
    names = [name(row) for row in rows if row.verdict is Verdict.SUSPECT]
    if not names:
        return ""
    subject = " and ".join(names)
    return f" {subject} {'is' if len(names) == 1 else 'are'} suspect; the table says why."


def times_slower(rows: Sequence[Row]) -> list[float | None]:
    """For each row how many times slower it is than the fastest that it may be compared with."""
    found: dict[int, float] = {}
    for alike in groups([row for row in rows if row.ranked]):
        best, *others = sorted(alike, key=lambda row: row.median_ms or 0)
        for other in others:
            ratio = speed_ratio(best.samples_ms, other.samples_ms)
            if ratio is not None and ratio.separates:
                found[id(other)] = ratio.value
    return [found.get(id(row)) for row in rows]


def _payback(best: Row, other: Row) -> str:
    """After how many inferences a longer loading has paid."""
    if None in (best.load_ms, other.load_ms, best.median_ms, other.median_ms):
        return ""
    later = (best.load_ms or 0) - (other.load_ms or 0)
    gain = (other.median_ms or 0) - (best.median_ms or 0)
    if later <= 0 or gain <= 0 or later / gain < PAYBACK_MIN:
        return ""
    return f" It takes {milliseconds(best.load_ms)} to load, which pays back after {later / gain:.0f} inferences."


def milliseconds(value: float | None) -> str:
    """A time with three digits that count, in the unit that fits."""
    if value is None:
        return "n/a"
    if value >= 1000:
        return f"{value / 1000:.3g} s"
    return f"{value:.3g} ms" if value >= 0.1 else f"{value * 1000:.3g} µs"


def statements(runs: Sequence[tuple[str, Run]], rows: Sequence[Row], name: Naming) -> list[str]:
    """Every difference that the samples can tell; with several runs first what changed from the first of them."""
    lines = sentences([name for name, _ in runs], align([run for _, run in runs])) if len(runs) > 1 else []
    reliable = [row for row in rows if row.verdict is not Verdict.UNRELIABLE]  # a notice names the others
    return list(dict.fromkeys([*lines, *verdict_lines(reliable, name)]))


def notices(configurations: Sequence[Configuration], conditions: Sequence[Condition]) -> list[Notice]:
    """What a reader must know before quoting a figure."""
    return [*_not_the_same_work(configurations, conditions), *_doubts(configurations)]


def _not_the_same_work(configurations: Sequence[Configuration], conditions: Sequence[Condition]) -> list[Notice]:
    differing = [condition for condition in conditions if condition.name in SAME_WORK and condition.differs]
    if not differing:
        return []
    one_call = len({(each.run, each.host) for each in configurations}) == 1
    only_asked_for = one_call and all(condition.name == "threads" for condition in differing)
    text = "; ".join(f"{condition.name}: {' / '.join(dict.fromkeys(condition.values))}" for condition in differing)
    return [
        Notice(
            level="note" if only_asked_for else "warning",
            title="Not the same in all configurations.",
            text=f"{text}. Compare with this in mind.",
        )
    ]


def _doubts(configurations: Sequence[Configuration]) -> list[Notice]:
    found = [
        Notice(level="warning", title=f"{each.name}: not complete.", text=each.problem)
        for each in configurations
        if each.problem is not None
    ]
    unreliable = [each for each in configurations if each.verdict == Verdict.UNRELIABLE]
    if len(unreliable) > EXPLAINED_MAX:
        names = "; ".join(each.name for each in unreliable)
        text = "These are unreliable; the table says why. They are not ranked."
        return [*found, Notice(level="warning", title=f"Do not quote: {names}.", text=text)]
    for each in unreliable:
        why = "; ".join(dict.fromkeys(reason.detail for reason in each.reasons))
        found.append(
            Notice(
                level="warning", title=f"{each.name}: do not quote this.", text=f"Unreliable, and not ranked: {why}."
            )
        )
    return found

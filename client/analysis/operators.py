"""Profiles put side by side: which of their operators correspond, and by how much they differ.

A runtime may execute other operators than those of the file: XNNPACK adds a Clamp after an ADD with a fused ReLU and
runs 1x1 convolutions as "Fully Connected". So each executed operator counts for the one of the file it stands for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from contract.results import OperatorProfile, ProfileResult

BEFORE_WORDS = ("Reshape", "Copy", "Reorder")
"""Added operators that prepare the next one; others finish the one before."""


@dataclass(frozen=True)
class Share:
    """What an operator of the file costs in one profile."""

    mean_us: float
    share: float
    executed_as: tuple[str, ...]


@dataclass(frozen=True)
class OperatorLine:
    """One operator in all profiles; None where a profile has no such one, or it was folded into a neighbour."""

    index: int | None
    """The operator's index in the first profile's file that has it; None where it corresponds to none."""
    kind: str
    output: str | None
    shape: tuple[int, ...] | None
    cells: tuple[Share | None, ...]

    @property
    def difference_us(self) -> float | None:
        """Last minus first."""
        first, last = self.cells[0], self.cells[-1]
        return last.mean_us - first.mean_us if first is not None and last is not None else None

    @property
    def ratio(self) -> float | None:
        """How many times as long in the last as in the first."""
        first, last = self.cells[0], self.cells[-1]
        return last.mean_us / first.mean_us if first is not None and last is not None and first.mean_us else None


@dataclass
class _Operator:
    """One of the file, with what was executed for it."""

    index: int | None
    kind: str
    output: str | None
    shape: tuple[int, ...] | None
    executed: list[OperatorProfile]

    @property
    def key(self) -> tuple[str, tuple[int, ...] | None]:
        return self.kind, self.shape

    @property
    def share(self) -> Share:
        return Share(
            sum(each.mean_us for each in self.executed),
            sum(each.share for each in self.executed),
            tuple(each.name for each in self.executed),
        )


Line = list[_Operator | None]


def align_operators(profiles: Sequence[ProfileResult]) -> list[OperatorLine]:
    """Lines in the order of the first profile, with what only others have where it belongs.

    Within one model operators correspond by their index. Those of different models (another precision, another
    version) correspond where kind and output shape follow one another in the same order.
    """
    tables = [_operators(profile) for profile in profiles]
    lines: list[Line] = [[operator] for operator in tables[0]]
    for number, (profile, table) in enumerate(zip(profiles[1:], tables[1:], strict=True), 1):
        same = profile.model_digest == profiles[0].model_digest and _indexed(tables[0]) and _indexed(table)
        lines = _merged(lines, table, number, by_index=same)
    return [_line(line) for line in lines]


def _indexed(table: Sequence[_Operator]) -> bool:
    return all(operator.index is not None for operator in table)


def _operators(profile: ProfileResult) -> list[_Operator]:
    """The file's operators in their order, each with all that was executed for it."""
    rows = profile.operators
    if all(row.operator is None for row in rows):
        return [_Operator(None, row.kind or row.name, row.output, _shape(row), [row]) for row in rows]
    found: dict[int, _Operator] = {}
    for row, index in zip(rows, _indices(rows), strict=True):
        operator = found.setdefault(index, _Operator(index, row.kind or row.name, row.output, _shape(row), []))
        operator.executed.append(row)
        if row.operator is not None:
            operator.kind, operator.output, operator.shape = row.kind or row.name, row.output, _shape(row)
    return [found[index] for index in sorted(found)]


def _indices(rows: Sequence[OperatorProfile]) -> list[int]:
    """For each executed operator one of the file: an added one counts for its neighbour."""
    known = [(number, row.operator) for number, row in enumerate(rows) if row.operator is not None]
    indices = []
    for number, row in enumerate(rows):
        before = next((index for at, index in reversed(known) if at <= number), None)
        after = next((index for at, index in known if at >= number), None)
        prepares = any(word in f"{row.name} {row.kernel}" for word in BEFORE_WORDS)
        order = (row.operator, after, before) if prepares else (row.operator, before, after)
        indices.append(next(index for index in order if index is not None))
    return indices


def _shape(row: OperatorProfile) -> tuple[int, ...] | None:
    return tuple(row.output_shape) if row.output_shape is not None else None


def _merged(lines: Sequence[Line], table: Sequence[_Operator], number: int, *, by_index: bool) -> list[Line]:
    """Lines of `number` profiles with those of one more."""

    def key(operator: _Operator) -> object:
        return operator.index if by_index else operator.key

    left = [key(next(each for each in line if each is not None)) for line in lines]
    right = [key(operator) for operator in table]
    merged: list[Line] = []
    for tag, a0, a1, b0, b1 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            merged += [[*lines[a], table[b]] for a, b in zip(range(a0, a1), range(b0, b1), strict=True)]
        else:
            merged += [[*lines[a], None] for a in range(a0, a1)]
            merged += [[*[None] * number, table[b]] for b in range(b0, b1)]
    return merged


def _line(line: Line) -> OperatorLine:
    named = next(operator for operator in line if operator is not None)
    cells = tuple(operator.share if operator is not None else None for operator in line)
    return OperatorLine(named.index, named.kind, named.output, named.shape, cells)


def whole(profiles: Mapping[str, ProfileResult]) -> dict[str, float | None]:
    """Mean microseconds of the whole graph by profile."""
    return {
        name: profile.latency.mean_ms * 1e3 if profile.latency is not None else None
        for name, profile in profiles.items()
    }

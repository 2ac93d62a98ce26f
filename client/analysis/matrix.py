"""What `client bench` is asked for, expanded into one specification for each combination."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import EnumType, StrEnum
from itertools import product
from typing import Any, TypeVar

from pydantic import ValidationError

from client.analysis.facets import AXES
from client.errors import EdgeError
from contract.specs import BenchmarkSpec

T = TypeVar("T")

JOBS_MAX = 1000
"""The most jobs that one call may ask of one host; more is a slip of the keyboard."""


class UsageError(EdgeError):
    """An option has a value that cannot be used."""

    exit_code = 2


class Switch(StrEnum):
    """A choice between two."""

    OFF = "off"
    ON = "on"

    def __bool__(self) -> bool:
        return self is Switch.ON


def devices_of(text: str | None) -> tuple[str, ...]:
    """Devices of a list such as `AUTO,CPU`. After `AUTO:` or `HETERO:` commas belong to the device, `;` ends it."""
    if text is None:
        return ()
    wanted: list[str] = []
    for group in text.upper().split(";"):
        head, separator, names = group.partition(":")
        *alone, mode = head.split(",")
        wanted += [*alone, f"{mode}{separator}{names}"]
    return tuple(dict.fromkeys(word.strip() for word in wanted if word.strip()))


def values_of(option: str, text: str | None, kind: Callable[[str], T]) -> tuple[T, ...]:
    """The values of a list such as `1,2`, each once, in order; empty for None. Raises UsageError."""
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    try:
        return tuple(dict.fromkeys(kind(word) for word in words if word or kind is not str))
    except ValueError:
        expected = ", ".join(kind) if isinstance(kind, EnumType) else "numbers such as 1,2"
        raise UsageError(f"--{option} takes {expected}, not {text!r}") from None


def expand(common: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> list[BenchmarkSpec]:
    """A specification for each combination of the axes' values; an axis without values is left to the agent.

    Raises UsageError.
    """
    named = [axis for axis in AXES if axes.get(axis)]
    try:
        specs = [
            BenchmarkSpec(**common, **{axis: _plain(value) for axis, value in zip(named, values, strict=True)})
            for values in product(*(axes[axis] for axis in named))
        ]
    except ValidationError as error:
        raise UsageError(first_fault(error)) from error
    return specs


def in_rounds(specs: Iterable[BenchmarkSpec], repeats: int) -> list[tuple[int, BenchmarkSpec]]:
    """Each specification `repeats` times, in rounds, so that slow drift of a device meets all of them alike.

    Raises UsageError for more jobs than anybody wants.
    """
    rounds = [(repeat, spec) for repeat in range(repeats) for spec in specs]
    if len(rounds) > JOBS_MAX:
        raise UsageError(f"that is {len(rounds)} jobs a host; {JOBS_MAX} is the most", hint="leave out some values")
    return rounds


def _plain(value: Any) -> Any:
    return bool(value) if isinstance(value, Switch) else value


def first_fault(error: ValidationError) -> str:
    """What is wrong with a value, and which."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"]).removeprefix("Value error, ")

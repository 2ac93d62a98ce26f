"""The kinds of jobs."""

from collections.abc import Mapping
from typing import Any

from server.jobs.kinds.base import Kind, Means
from server.jobs.kinds.benchmark import BenchmarkKind
from server.jobs.kinds.command import CommandKind
from server.jobs.kinds.profile import ProfileKind

KNOWN: Mapping[str, type[Kind[Any]]] = {
    "benchmark": BenchmarkKind,
    "profile": ProfileKind,
    "command": CommandKind,
}
"""By the `kind` of a request."""


def kinds_of(means: Means) -> Mapping[str, Kind[Any]]:
    """All kinds, ready for use."""
    return {name: create(means) for name, create in KNOWN.items()}

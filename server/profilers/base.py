"""What every way of timing operators offers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from server.profilers.order import ProfileOrder
from server.runtimes.base import Execution
from server.runtimes.selection import CPU

ON_CPU = Execution("CPU", None)
"""What profilers that know the CPU only begin with."""


class MethodUnavailable(Exception):
    """Operators cannot be timed in this way here; the message says why."""


@dataclass(frozen=True)
class Executed:
    """One operator as the runtime executes it."""

    name: str
    """The name that the runtime gives it."""
    index: int | None
    """The operator of the file that it stands for; None where there is none."""
    delegated: bool = False
    kernel: str | None = None
    """What computes it, where the runtime tells."""
    output_shape: tuple[int, ...] | None = None
    output_dtype: str | None = None
    """What the runtime tells of its first output; None where only the file does."""


def require_cpu(order: ProfileOrder) -> None:
    """Raise MethodUnavailable for a job on another device."""
    if order.device != CPU:
        raise MethodUnavailable(f"operators of {order.runtime} are timed on the {CPU} only, not on {order.device}")


class Profiler(Protocol):
    """A model whose operators are timed. Its methods are called in this order."""

    method: str
    """Named in the result."""
    detail: str | None
    """What else there is to say of the method."""

    execution: Execution
    """Device and precision, once it is loaded."""

    rated_from_us: float
    """Means below this are too coarse to make a rate of."""

    def load(self) -> None:
        """Make a model from its bytes ready; raises ModelFault, MethodUnavailable."""

    def feed(self, seed: int) -> None:
        """Fill the inputs with noise."""

    def plain(self) -> None:
        """Run once as without a profiler; raises ModelFault."""

    def begin(self) -> Sequence[Executed]:
        """Get ready for `run` and give the operators in their order; raises ModelFault, MethodUnavailable."""

    def run(self) -> tuple[float, Sequence[float] | None]:
        """Run once: microseconds of the whole and of each operator, None when `collected` tells; raises ModelFault."""

    def collected(self) -> Sequence[Sequence[float]] | None:
        """Times of the operators in every `run` so far, where `run` did not tell them."""

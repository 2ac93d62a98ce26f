"""What a profile job's process is given: a model whose operators are to be timed."""

from dataclasses import asdict, dataclass
from typing import Any

from server.workers.messages import ModelSource


@dataclass(frozen=True)
class ProfileOrder:
    """A model whose operators are timed."""

    model: ModelSource
    runtime: str
    device: str
    precision: str | None
    method: str | None
    builtin: bool
    threads: int
    iterations: int
    warm_up_iterations: int
    seed: int
    window_s: float = 1.0
    batch: int = 1
    duration_s: float | None = None
    memory_bytes: int | None = None
    """Private memory at which the job gets no more, None for no limit."""
    kind: str = "profile"

    @classmethod
    def from_wire(cls, fields: dict[str, Any]) -> "ProfileOrder":
        """Rebuild from JSON."""
        return cls(**{**fields, "model": ModelSource(**fields["model"])})

    def to_wire(self) -> dict[str, Any]:
        """The order as JSON takes it."""
        return asdict(self)

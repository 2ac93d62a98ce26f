"""What the agent gives to a job's process: everything resolved, nothing left to look up."""

from dataclasses import asdict, dataclass
from typing import Any

from server.profilers.order import ProfileOrder
from server.workers.messages import ModelSpec

RANDOM_FRAMES = 4
"""Different frames of noise, used in turn."""


@dataclass(frozen=True)
class DeviceOrder:
    """A runtime and a device of it to run a model on."""

    runtime: str
    device: str
    delegates: bool


@dataclass(frozen=True)
class BenchmarkOrder:
    """A model to measure."""

    model: ModelSpec
    candidates: list[DeviceOrder]
    """Best first; the last one is begun with and fallen back on."""
    precision: str | None
    hint: str | None
    cache: str | None
    """Folder of compiled models, None to compile."""
    threads: int
    streams: int
    batch: int
    iterations: int | None
    duration_s: float | None
    warm_up_iterations: int
    window_s: float
    seed: int
    images: list[str]
    """Paths; empty for random input."""
    max_pixels: int
    memory_bytes: int | None = None
    """Private memory at which the job gets no more, None for no limit."""
    kind: str = "benchmark"

    @classmethod
    def from_wire(cls, fields: dict[str, Any]) -> "BenchmarkOrder":
        """Rebuild from JSON."""
        rebuilt = {
            "model": ModelSpec.from_wire(fields["model"]),
            "candidates": [DeviceOrder(**each) for each in fields["candidates"]],
        }
        return cls(**{**fields, **rebuilt})

    def to_wire(self) -> dict[str, Any]:
        """The order as JSON takes it."""
        return asdict(self)


@dataclass(frozen=True)
class CommandOrder:
    """A program to run."""

    argv: list[str]
    env: dict[str, str]
    bundle: str | None
    """Path of a tar file."""
    work: str
    """Folder to run it in, and the one for its artefacts."""
    output: str
    max_file_bytes: int
    kind: str = "command"

    def to_wire(self) -> dict[str, Any]:
        """The order as JSON takes it."""
        return asdict(self)


Order = BenchmarkOrder | ProfileOrder | CommandOrder

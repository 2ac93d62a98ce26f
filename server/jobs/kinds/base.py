"""What every kind of job has: what it asks for, the order for its process, how far it is, and its result."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel

from contract.devices import Selection
from contract.jobs import AnyRequest, Progress
from contract.results import AnyResult, Conditions, LatencySummary
from contract.telemetry import CPU_TEMPERATURE, Telemetry
from server.jobs.record.artifacts import Left
from server.jobs.record.journal import Journal
from server.jobs.record.orders import Order
from server.models.registry import ModelRegistry
from server.settings import Settings
from server.statistics import summary
from server.workers.pools import Pools

Request = TypeVar("Request", bound=AnyRequest)


@dataclass(frozen=True)
class Means:
    """What a kind of job works with."""

    settings: Settings
    registry: ModelRegistry
    pools: Pools


@dataclass(frozen=True)
class Places:
    """Where the files of a job lie."""

    record: Path
    """What the agent keeps of it."""
    work: Path
    """What its program may do with as it likes."""


class Subject(BaseModel):
    """Which model a job ran, and how, as the agent resolved it."""

    model: str
    model_digest: str
    runtime: str
    runtime_version: str = ""
    threads: int
    streams: int
    selection: Selection | None = None
    """How the devices were chosen, as far as that was before the job began."""


@dataclass(frozen=True)
class Beginning:
    """A job that is about to run."""

    order: Order
    subject: Subject | None = None
    """None where it runs no model."""


@dataclass(frozen=True)
class Measured:
    """Everything there is of a job that ended, or was cut off."""

    journal: Journal
    telemetry: Telemetry | None
    conditions: Conditions
    complete: bool
    subject: Subject | None
    left: Left

    def conditions_with_temperatures(self) -> Conditions:
        """The conditions with the CPU's first and last temperature, where there is one."""
        series = self.telemetry.series.get(CPU_TEMPERATURE, []) if self.telemetry else []
        known = [value for value in series if value is not None]
        if not known:
            return self.conditions
        update = {"cpu_temperature_before_celsius": known[0], "cpu_temperature_after_celsius": known[-1]}
        return self.conditions.model_copy(update=update)

    def latency(self) -> LatencySummary | None:
        """A summary of the samples kept; the longest is that of all."""
        found = summary(self.journal.samples_ms)
        return found and found.model_copy(update={"max_ms": max(window.max_ms for window in self.journal.windows)})


class Kind(ABC, Generic[Request]):
    """One kind of job. The module of `server.jobs.host` that has its name does the work."""

    leaves_files: ClassVar[bool] = False
    """Whether what its process puts into `$OUTPUT` is kept."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @abstractmethod
    def accept(self, request: Request, record: Path) -> None:
        """Check that a request can be done here, and keep the files it needs in the job's record.

        Raises AgentError.
        """

    @abstractmethod
    def begin(self, request: Request, places: Places) -> Beginning:
        """The order for its process; raises AgentError when what it needs is not there any more."""

    @abstractmethod
    def result(self, request: Request, measured: Measured) -> AnyResult | None:
        """What was found, as far as it came; None when that is nothing."""

    @abstractmethod
    def progress(self, request: Request, journal: Journal, elapsed_s: float) -> Progress:
        """How far it is after so many seconds."""

    def cooldown_s(self, request: Request) -> float:
        """How long it waits at most for a cooler CPU."""
        return 0.0


def runs_so_far(journal: Journal, iterations: int) -> Progress:
    """How far a job is that runs a model so many times."""
    progress = Progress(phase=journal.phase, done=journal.iterations, total=iterations)
    if journal.windows:
        newest = journal.windows[-1]
        progress.fps, progress.latency_p50_ms = newest.fps, newest.p50_ms
    return progress

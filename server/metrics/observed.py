"""The parts of an agent that its metrics are about."""

from typing import Protocol

from server.jobs.queue import Jobs
from server.metrics.inferences import InferenceLog
from server.metrics.requests import RequestLog
from server.models.registry import ModelRegistry
from server.models.store import ModelStore
from server.settings import Settings
from server.storage.room import Room
from server.telemetry.live import LiveTelemetry
from server.workers.pools import Pools


class Observed(Protocol):
    """What `server.agent.Agent` has; named here so that it can hold its metrics, and they know nothing of it."""

    settings: Settings
    pools: Pools
    store: ModelStore
    registry: ModelRegistry
    jobs: Jobs
    room: Room
    telemetry: LiveTelemetry
    inferences: InferenceLog
    requests: RequestLog

    @property
    def ready(self) -> bool:
        """Whether a request sent now would be answered at once."""

    @property
    def device_labels(self) -> dict[str, str]:
        """The device by the names that its metrics have."""

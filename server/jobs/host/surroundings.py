"""What the work of a job finds around it."""

from dataclasses import dataclass

from server.jobs.host.events import Events
from server.jobs.record.channels import Channels


@dataclass(frozen=True)
class Surroundings:
    """Where to report, what is open, and whose job it is."""

    events: Events
    channels: Channels
    agent_pid: int

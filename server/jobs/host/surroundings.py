"""What the work of a job finds around it."""

from dataclasses import dataclass

from server.jobs.channels import Channels
from server.jobs.host.events import Events


@dataclass(frozen=True)
class Surroundings:
    """Where to report, what is open, and whose job it is."""

    events: Events
    channels: Channels
    agent_pid: int

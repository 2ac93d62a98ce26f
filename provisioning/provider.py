"""What turns a place into a running agent. Local, SSH, Docker and CHI@Edge all stand behind this Protocol."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from provisioning.deployments import Deployment

Save = Callable[[], None]
"""Writes the deployment's state; called by a provider before and after every step that makes or removes something."""

Report = Callable[[str], None]
"""Tells the user what is being done."""


class State(StrEnum):
    """What is there of a deployment."""

    RUNNING = "running"
    STOPPED = "stopped"
    """It was made, but its agent does not run (any more)."""
    ABSENT = "absent"


@dataclass(frozen=True)
class Status:
    """What a provider sees of a deployment, without asking the agent itself."""

    state: State
    detail: str


class Provider(Protocol):
    """Makes, watches and removes one kind of deployment.

    Every method may be called at any time and again: what is there already is kept, what is gone already is fine.
    Methods raise ProvisioningError.
    """

    @property
    def kind(self) -> str:
        """As in `--on` and in the state file."""

    def create(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Bring the agent up and set `deployment.url`. Whatever is made is noted in `deployment.resources` and saved
        before the next step, so that `destroy` finds it even after a kill."""

    def certificate(self, deployment: Deployment) -> str | None:
        """The agent's certificate (PEM), read where only its owner can: never over the network it protects."""

    def status(self, deployment: Deployment) -> Status:
        """What is there."""

    def logs(self, deployment: Deployment, tail: int) -> Iterator[str]:
        """The last lines of the agent's log."""

    def destroy(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Remove everything that `create` made, also after it was cut off half-way; raises LeftBehind."""

"""What turns a place into a running agent. Local, SSH, Docker and CHI@Edge all stand behind this Protocol."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

from provisioning.deployments import Deployment

Save = Callable[[], None]
"""Writes the deployment's state; called by a provider before and after every step that makes or removes something."""

Report = Callable[[str], None]
"""Tells the user what is being done."""


AGENT_OPTIONS = ("port", "workers", "threads", "allow-commands", "device-type")
"""Options of a deployment that are the agent's own; the others say where and how to make it."""

TUNNEL_OPTION = "tunnel"
"""Option of places whose agents can be reached through a login instead of the network."""


def agent_arguments(options: Mapping[str, Any], *, without: Sequence[str] = ()) -> list[str]:
    """The words of the `server` command for a deployment's options."""
    given = (name for name in AGENT_OPTIONS if name in options and name not in without)
    return [word for name in given for word in (f"--{name}", str(options[name]))]


@dataclass(frozen=True)
class Option:
    """An option of `up` that a provider understands; a provider finds it in a deployment's options by its name."""

    name: str
    """The name on the command line, without the dashes."""
    help: str
    type: type = str
    """str, Path for a file, bool for a flag."""
    many: bool = False
    """Whether it may be repeated."""
    metavar: str | None = None
    pattern: str | None = None
    """What a value must look like; `metavar` puts it in words."""
    check: Callable[[str], None] | None = None
    """Raises ProvisioningError for a value that looks right and cannot be taken."""
    must_exist: bool = False
    selects: bool = False
    """Whether giving it means this provider when no place is named."""
    required: str | None = None
    """What is said when it is missing; None for an option that may be left out."""
    instead_of: str | None = None
    """The option that it takes the place of; only one of the two can be given."""
    needs: str | None = None
    """Another option that must be given with it, and after a colon what helps to do so."""


class State(StrEnum):
    """What is there of a deployment."""

    RUNNING = "running"
    STOPPED = "stopped"
    """It was made, but its agent does not run (any more)."""
    ABSENT = "absent"
    UNKNOWN = "unknown"
    """The place could not be asked."""


@dataclass(frozen=True)
class Status:
    """What a provider sees of a deployment, without asking the agent itself."""

    state: State
    detail: str


@dataclass(frozen=True)
class Overview:
    """A deployment as a user sees it."""

    deployment: Deployment
    status: Status
    health: str
    default_model: str | None = None


class Provider(Protocol):
    """Makes, watches and removes one kind of deployment.

    Every method may be called at any time and again: what is there already is kept, what is gone already is fine.
    Methods raise ProvisioningError.
    """

    @property
    def kind(self) -> str:
        """The kind as `--on` and the state file name it."""

    def create(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Bring the agent up and set `deployment.url`, and `tunnel` where only a login leads to it. Whatever is made is
        noted in `deployment.resources` and saved before the next step, so that `destroy` finds it even after a kill."""

    def certificate(self, deployment: Deployment) -> str | None:
        """The agent's certificate (PEM), read where only its owner can: never over the network it protects."""

    def status(self, deployment: Deployment) -> Status:
        """What is there."""

    def logs(self, deployment: Deployment, tail: int) -> Iterator[str]:
        """The last lines of the agent's log."""

    def exec(self, deployment: Deployment, command: Sequence[str], out: BinaryIO, err: BinaryIO) -> int:
        """Run a program there, as the agent's user in the agent's folder and with its `python` first on the path.

        What it prints goes to `out` and `err` as it comes; it reads nothing. Returns its exit code, 127 when there is
        no such program, and 128 and the number of the signal when one ended it.
        """

    def push(self, deployment: Deployment, local: Path, remote: str) -> None:
        """Copy a file or a folder there, with `cp -r`'s rules: into `remote` when that is a folder or ends with a
        slash, else under that name. A relative `remote` is below the agent's folder; missing folders are made."""

    def pull(self, deployment: Deployment, remote: str, local: Path) -> None:
        """Copy a file or a folder from there, by the same rules; links in a folder are left out."""

    def destroy(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Remove everything that `create` made, also after it was cut off half-way; raises LeftBehind."""

    def remains(self, deployment: Deployment) -> list[str]:
        """What may be there of it, as far as it was noted here: a line each, without asking the place."""


@runtime_checkable
class Leased(Protocol):
    """What a provider has whose places are ours for a while."""

    def left_s(self, deployment: Deployment) -> float | None:
        """Seconds until the place is taken away, 0 when it was; None where nobody knows of an end."""


@runtime_checkable
class Resumes(Protocol):
    """What a provider has where a program goes on when we are cut off from it."""

    def resume(self, deployment: Deployment, program: str | None, out: BinaryIO, err: BinaryIO) -> int:
        """Follow a program of `exec` again, from the beginning of its output; returns its exit code.

        `program` is the id that was told when we were cut off; None for the only one that is there.
        """

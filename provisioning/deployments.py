"""The state of each deployment on this side: one private file a name, written whole before and after every step."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from client.sdk.account import Account
from client.sdk.hosts import require_private, write_private
from provisioning.errors import DeploymentBusy, ProvisioningError

LOCK_TIMEOUT_S = 1.0
NAME_HINT = "a name is lower-case letters, digits, dots and hyphens, such as edge1"


class DeploymentPhase(StrEnum):
    """How far a deployment got; an interrupted one is found in the phase it died in."""

    CREATING = "creating"
    UP = "up"
    REMOVING = "removing"


@dataclass
class Deployment:
    """One agent that `provision` made: what was asked for and what exists because of it."""

    name: str
    provider: str
    options: dict[str, Any]
    """What `up` was asked for; a second `up` with the same options changes nothing."""
    token: str
    phase: DeploymentPhase = DeploymentPhase.CREATING
    resources: dict[str, Any] = field(default_factory=dict)
    """What the provider made and must remove, in its own words."""
    url: str | None = None
    tunnel: Account | None = None
    """The login through which the agent is reached; None where it is reached directly."""
    model: str | None = None
    """Catalog model that `up` pushes, and again after the device lost its files."""
    was_up: bool = False
    """Whether it ever was; what never was leaves nothing when it is removed, not even what `up` leased for it."""
    with_lease: bool = False
    """Whether its removal gives back its lease too, also when that takes a second `down`."""
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def __repr__(self) -> str:
        return f"Deployment({self.name!r}, {self.provider!r}, {self.phase!s})"

    @property
    def place(self) -> str:
        """Where it is, as in `--on`."""
        place = self.options.get("place")
        return f"{self.provider}://{place}" if place else self.provider


class Deployments:
    """The deployments of this user."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or user_state_path("edgerun") / "deployments"

    def __iter__(self) -> Iterator[Deployment]:
        for path in sorted(self._folder.glob("*.json")):
            if (deployment := _read(path)) is not None:
                yield deployment

    def find(self, name: str) -> Deployment | None:
        """The deployment of that name, None when there is none."""
        return _read(self._path(name))

    def save(self, deployment: Deployment) -> None:
        """Write a deployment's state."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._path(deployment.name), json.dumps(dataclasses.asdict(deployment), indent=2))

    def forget(self, name: str) -> None:
        """Delete a deployment's state, once nothing of it exists any more."""
        self._path(name).unlink(missing_ok=True)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Keep other `provision` processes from the same deployment; raises DeploymentBusy."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(self._path(name).with_suffix(".lock"), timeout=LOCK_TIMEOUT_S)
        try:
            with lock:
                yield
        except Timeout:
            hint = "wait until it is done; if it was killed, just try again"
            raise DeploymentBusy(f"another provision works on {name} right now", hint=hint) from None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _read(path: Path) -> Deployment | None:
    """What a file says; None where there is none, also when it goes away while it is looked at."""
    try:
        require_private(path)
        document = json.loads(path.read_text())
        tunnel = Account.read(document["tunnel"]) if document.get("tunnel") else None
        return Deployment(**{**document, "phase": DeploymentPhase(document["phase"]), "tunnel": tunnel})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        hint = "repair the file, or delete it once nothing of the deployment exists any more"
        raise ProvisioningError(f"{path} is not a deployment's state: {error}", hint=hint) from error

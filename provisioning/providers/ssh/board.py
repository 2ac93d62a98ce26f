"""A board by SSH: how the agent runs there is chosen once and said; then the provider of that way does the work."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from client.errors import EdgeError
from client.sdk.tunnel import LOOPBACK
from provisioning.deployments import Deployment
from provisioning.errors import LeftBehind
from provisioning.provider import Provider, Report, Save, Status
from provisioning.providers.docker.engine import DockerEngine
from provisioning.providers.docker.options import OPTIONS as DOCKER_OPTIONS
from provisioning.providers.docker.provider import DockerProvider
from provisioning.providers.ssh.choice import Way, Wishes, choose
from provisioning.providers.ssh.connection import connected
from provisioning.providers.ssh.docker_socket import remote_engine
from provisioning.providers.ssh.provider import SshProvider, account_of, settle_reach
from provisioning.providers.ssh.survey import Survey, survey

VIA = "via"
"""The resource that notes the way; deployments of versions without it are native."""


class BoardProvider:
    """Runs the agent natively where that works, else in Docker on the board where that does."""

    kind = "ssh"

    def create(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Look at the board, choose, and make it so; what was chosen before stays."""
        found: Survey | None = None
        if "id" not in deployment.resources:  # which every way notes before it makes anything
            with connected(account_of(deployment)) as connection:
                found = survey(connection)
                report(f"{deployment.options['place']}: {found.summary}")
                choice = choose(found, _wishes(deployment), deployment.name)
                if choice.why:
                    report(choice.why)
                settle_reach(connection, deployment, report)
            deployment.resources[VIA] = str(choice.way)
            save()
        with _way(deployment, found) as provider:
            provider.create(deployment, save, report)

    def certificate(self, deployment: Deployment) -> str | None:
        """Read over SSH, past the network it protects."""
        with _way(deployment) as provider:
            return provider.certificate(deployment)

    def status(self, deployment: Deployment) -> Status:
        """What the board, or its engine, says."""
        with _way(deployment) as provider:
            return provider.status(deployment)

    def logs(self, deployment: Deployment, tail: int) -> Iterator[str]:
        """The last lines of the agent's log."""
        with _way(deployment) as provider:
            yield from provider.logs(deployment, tail)

    def exec(self, deployment: Deployment, command: Sequence[str], out: BinaryIO, err: BinaryIO) -> int:
        """A program where the agent is: in its container, when it is in one."""
        with _way(deployment) as provider:
            return provider.exec(deployment, command, out, err)

    def push(self, deployment: Deployment, local: Path, remote: str) -> None:
        """Over SSH."""
        with _way(deployment) as provider:
            provider.push(deployment, local, remote)

    def pull(self, deployment: Deployment, remote: str, local: Path) -> None:
        """Over SSH."""
        with _way(deployment) as provider:
            provider.pull(deployment, remote, local)

    def destroy(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Remove what was made there, and nothing else."""
        if "id" not in deployment.resources:
            deployment.resources.clear()
            save()
            return
        try:
            with _way(deployment) as provider:
                provider.destroy(deployment, save, report)
        except LeftBehind:
            raise
        except EdgeError as error:
            left = "; ".join(self.remains(deployment))
            hint = f"when it is gone for good: provision down {deployment.name} --forget"
            raise LeftBehind(f"{left}: {error}", hint=hint) from error

    def remains(self, deployment: Deployment) -> list[str]:
        """What was noted, and where."""
        if not _in_docker(deployment):
            return SshProvider().remains(deployment)
        return [f"{line} on {deployment.options['place']}" for line in DockerProvider().remains(deployment)]


def _in_docker(deployment: Deployment) -> bool:
    return deployment.resources.get(VIA) == Way.DOCKER


@contextlib.contextmanager
def _way(deployment: Deployment, found: Survey | None = None) -> Iterator[Provider]:
    """The provider for the way that was chosen, for as long as it is used."""
    if not _in_docker(deployment):
        yield SshProvider(found)
        return
    with remote_engine(account_of(deployment)) as engine:
        address = LOOPBACK if deployment.tunnel else engine.address
        yield DockerProvider(partial(DockerEngine.at, url=engine.url, address=address))


def _wishes(deployment: Deployment) -> Wishes:
    options = deployment.options
    for_docker = tuple(option.name for option in DOCKER_OPTIONS if option.name in options)
    return Wishes("python-archive" in options, for_docker, bool(options.get("offline")))

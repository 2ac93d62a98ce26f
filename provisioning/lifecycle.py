"""Up and down: the steps that are the same for every provider."""

import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from client.errors import EdgeError
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host, HostsFile
from provisioning import extras
from provisioning.default_model import push_model
from provisioning.deployments import Deployment, DeploymentPhase, Deployments
from provisioning.errors import NoDeployment, ProvisioningError
from provisioning.interruption import to_whoever_reads
from provisioning.lease_time import tell_agent
from provisioning.provider import Overview, Provider, Report, Resumes, State, Status
from provisioning.providers import provider_of
from provisioning.readiness import wait_until_ready

TOKEN_BYTES = 32
LOG_LINES_SHOWN = 20


@dataclass(frozen=True)
class Request:
    """What `up` was asked for."""

    name: str
    kind: str
    options: dict[str, Any]
    model: str | None
    """Catalog model to have on the agent, None for none."""
    keep: bool = False
    """Leave what was made when something fails, to look at it."""


class Lifecycle:
    """Makes, shows and removes deployments."""

    def __init__(self, deployments: Deployments, hosts: HostsFile, report: Report) -> None:
        self._deployments = deployments
        self._hosts = hosts
        self._report = to_whoever_reads(report)

    def up(self, request: Request) -> Host:
        """Bring up an agent and enter it into the hosts file; changes nothing when it is up already.

        What was made is undone when a step fails or the user interrupts, unless `keep`; an agent that was up before
        keeps what it has when it cannot be brought back. Raises ProvisioningError.
        """
        with self._deployments.alone(request.name):
            deployment = self._deployments.find(request.name) or self._new(request)
            self._require_same(deployment, request)
            provider = provider_of(deployment.provider)
            deployment.model = request.model or deployment.model
            if host := self._already_up(deployment, provider):
                self._report(f"{request.name} is up already at {host.url}")
                tell_agent(host, deployment, self._report)
                return host
            was_up = deployment.phase is DeploymentPhase.UP
            try:
                host = self._bring_up(deployment, provider)
            except BaseException as error:
                self._undo(deployment, provider, error, keep=request.keep or was_up)
                raise
        tell_agent(host, deployment, self._report)
        push_model(host, deployment.model, self._report)
        return host

    def down(self, name: str, *, forget: bool = False, with_lease: bool = False) -> None:
        """Remove a deployment and its host entry; fine when nothing is there. Raises LeftBehind.

        `with_lease` gives back its lease too. `forget` removes the entry even where the rest cannot be removed.
        """
        with self._deployments.alone(name):
            deployment = self._deployments.find(name)
            if deployment is None:
                self._report(f"{name}: nothing is there")
                return
            provider = provider_of(deployment.provider)
            deployment.with_lease |= with_lease
            try:
                self._remove(deployment, provider)
                self._report(f"{name} is gone")
            except EdgeError as error:
                if not forget:
                    raise
                self._forget(deployment)
                self._report(f"{name} is forgotten, but could not be removed: {error}")
                for line in provider.remains(deployment):
                    self._report(f"  may still be there: {line}")
            except KeyboardInterrupt:
                self._report(f"{name} is not gone yet: `provision down {name}` again goes on")
                raise

    def repair(self, name: str) -> Host:
        """Bring back what a deployment lost: agent, address, pinned certificate, model; raises ProvisioningError."""
        with self._deployments.alone(name):
            deployment = self.require(name)
            host = self._bring_up(deployment, provider_of(deployment.provider))
        tell_agent(host, deployment, self._report)
        push_model(host, deployment.model, self._report)
        return host

    def status(self, name: str) -> Status:
        """What a deployment's provider sees; raises ProvisioningError, also when the place does not let us look."""
        deployment = self.require(name)
        return provider_of(deployment.provider).status(deployment)

    def overview(self, name: str) -> Overview:
        """A deployment, what its provider sees, and what its agent says; raises ProvisioningError."""
        return self._look_at(self.require(name))

    def overviews(self) -> Iterator[Overview]:
        """All deployments."""
        return map(self._look_at, self._deployments)

    def logs(self, name: str, tail: int) -> Iterator[str]:
        """The last lines of an agent's log."""
        deployment = self.require(name)
        return provider_of(deployment.provider).logs(deployment, tail)

    def exec(self, name: str, command: Sequence[str], out: BinaryIO, err: BinaryIO) -> int:
        """Run a program where the agent is; returns its exit code."""
        deployment = self.require(name)
        return provider_of(deployment.provider).exec(deployment, command, out, err)

    def resume(self, name: str, program: str | None, out: BinaryIO, err: BinaryIO) -> int:
        """Follow a program of `exec` again, from the beginning of its output; returns its exit code."""
        deployment = self.require(name)
        provider = provider_of(deployment.provider)
        if not isinstance(provider, Resumes):
            raise ProvisioningError(f"a program on {deployment.place} ends with its connection: nothing can be resumed")
        return provider.resume(deployment, program, out, err)

    def push(self, name: str, local: Path, remote: str) -> None:
        """Copy a file or a folder to where the agent is."""
        deployment = self.require(name)
        if not local.exists():
            raise ProvisioningError(f"{local}: there is no such file or folder here")
        provider_of(deployment.provider).push(deployment, local, remote)

    def pull(self, name: str, remote: str, local: Path) -> None:
        """Copy a file or a folder from where the agent is."""
        deployment = self.require(name)
        provider_of(deployment.provider).pull(deployment, remote, local)

    def _new(self, request: Request) -> Deployment:
        known = self._hosts.hosts().get(request.name)
        if known is not None:
            hint = f"choose another --name, or `client hosts rm {request.name}` first"
            raise ProvisioningError(f"the hosts file has a {request.name} already, at {known.url}", hint=hint)
        provider_of(request.kind)  # an unknown kind is refused before anything is written
        token = secrets.token_urlsafe(TOKEN_BYTES)
        deployment = Deployment(request.name, request.kind, request.options, token, model=request.model)
        self._deployments.save(deployment)
        return deployment

    def _require_same(self, deployment: Deployment, request: Request) -> None:
        if (deployment.provider, deployment.options) != (request.kind, request.options):
            options = ", ".join(f"{key} {value}" for key, value in deployment.options.items() if key != "place")
            made = f"on {deployment.place} with {options or 'no options'}"
            hint = f"`provision down {deployment.name}` first, or choose another --name"
            raise ProvisioningError(f"{deployment.name} exists already, made {made}", hint=hint)

    def _already_up(self, deployment: Deployment, provider: Provider) -> Host | None:
        if deployment.phase is not DeploymentPhase.UP or provider.status(deployment).state is not State.RUNNING:
            return None
        try:
            host = self._host(deployment, provider)
            with EdgeClient(host, retries=0) as client:
                client.ready()
        except EdgeError:
            return None
        known = self._hosts.hosts().get(host.name)
        if known is not None and known.certificate != host.certificate:
            return None  # it came back by itself, but without its files
        self._enter(host)
        return host

    def _enter(self, host: Host) -> None:
        """Enter an agent into the hosts file, and say so when its new certificate tells that it lost its files."""
        known = self._hosts.hosts().get(host.name)
        if known is None or known.provider != host.provider:
            self._hosts.put(host)
            return
        if host.certificate != known.certificate:
            self._report(f"{host.name} lost its files and made a new certificate, which is pinned now")
            self._report("  models, jobs, results, pushed files and tokens that were there are gone")
        changed = replace(known, url=host.url, certificate=host.certificate, tunnel=host.tunnel)
        if known.token is not None:
            changed = replace(changed, token=host.token)
        if changed != known:
            self._hosts.put(changed)

    def _bring_up(self, deployment: Deployment, provider: Provider) -> Host:
        if deployment.phase is not DeploymentPhase.UP:  # who is brought back keeps its phase, and so what it has
            deployment.phase = DeploymentPhase.CREATING
        started = time.monotonic()
        self._report(f"starting an agent on {deployment.place}")
        provider.create(deployment, lambda: self._deployments.save(deployment), self._report)
        extras.require(deployment, provider)
        host = wait_until_ready(deployment, lambda: self._host(deployment, provider))
        self._enter(host)
        deployment.phase, deployment.was_up, deployment.with_lease = DeploymentPhase.UP, True, False
        self._deployments.save(deployment)
        self._report(f"{host.name} is ready at {host.url} after {time.monotonic() - started:.1f} s")
        return host

    def _host(self, deployment: Deployment, provider: Provider) -> Host:
        assert deployment.url is not None
        certificate = provider.certificate(deployment)
        known = self._hosts.hosts().get(deployment.name)
        # Its token may have been rotated since; an agent that lost its files begins with the first one again.
        same = known is not None and (known.provider, known.certificate) == (deployment.provider, certificate)
        token = known.token if known is not None and same and known.token else deployment.token
        host = Host(deployment.name, deployment.url, certificate, token, provider=deployment.provider)
        return replace(host, tunnel=deployment.tunnel)

    def _undo(self, deployment: Deployment, provider: Provider, error: BaseException, *, keep: bool) -> None:
        if isinstance(error, EdgeError):
            with contextlib.suppress(EdgeError):
                for line in provider.logs(deployment, LOG_LINES_SHOWN):
                    self._report(f"  log: {line}")
        if keep:
            self._report(f"kept as it is: `provision down {deployment.name}` removes it")
            return
        if deployment.resources:
            self._report("undoing what was done")
        try:
            self._remove(deployment, provider)
        except EdgeError as left:
            self._report(f"could not be undone: {left}; `provision down {deployment.name}` tries again")
        except KeyboardInterrupt:
            self._report("interrupted while undoing; there may still be")
            for line in provider.remains(deployment):
                self._report(f"  {line}")
            self._report(f"`provision down {deployment.name}` removes it")
            raise

    def _remove(self, deployment: Deployment, provider: Provider) -> None:
        deployment.phase = DeploymentPhase.REMOVING
        self._deployments.save(deployment)
        provider.destroy(deployment, lambda: self._deployments.save(deployment), self._report)
        self._forget(deployment)

    def _forget(self, deployment: Deployment) -> None:
        host = self._hosts.hosts().get(deployment.name)
        if host is not None and host.provider == deployment.provider:
            self._hosts.remove(deployment.name)
        self._deployments.forget(deployment.name)

    def require(self, name: str) -> Deployment:
        """The deployment of that name; raises NoDeployment."""
        deployment = self._deployments.find(name)
        if deployment is None:
            known = ", ".join(each.name for each in self._deployments) or "none"
            raise NoDeployment(f"no deployment {name!r}; there are: {known}", hint="`provision up` makes one")
        return deployment

    def _look_at(self, deployment: Deployment) -> Overview:
        provider = provider_of(deployment.provider)
        try:
            status = provider.status(deployment)
        except EdgeError as error:
            return Overview(deployment, Status(State.UNKNOWN, str(error)), "unreachable")
        if status.state is not State.RUNNING or deployment.url is None:
            return Overview(deployment, status, "unreachable")
        try:
            host = self._host(deployment, provider)
            with EdgeClient(host, timeout_s=5.0, retries=0) as client:
                health = client.ready().status
                known = self._hosts.hosts().get(host.name)
                if known is not None and known.certificate != host.certificate:
                    health = f"lost its files: provision repair {host.name}"
                return Overview(deployment, status, health, client.info().default_model)
        except EdgeError as error:
            return Overview(deployment, status, str(error))

"""An agent on a device that was leased at CHI@Edge: a container, a floating address, and nothing left of both after."""

import contextlib
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from provisioning import extras
from provisioning.deployments import Deployment
from provisioning.errors import LeftBehind, ProvisioningError, nothing_there
from provisioning.provider import Report, Save, State, Status
from provisioning.providers.chi import ssh as chi_ssh
from provisioning.providers.chi.addresses import Address, Addresses
from provisioning.providers.chi.containers import Container, Containers, require_container_name
from provisioning.providers.chi.errors import SiteUnreachable
from provisioning.providers.chi.files import Files
from provisioning.providers.chi.install import install_agent
from provisioning.providers.chi.leases import Lease, find_lease, usable_lease
from provisioning.providers.chi.processes import resume, run_for_user
from provisioning.providers.chi.removal import attempt, remove_what_is_ours
from provisioning.providers.chi.retry import patience_s
from provisioning.providers.chi.session import Site, open_site
from provisioning.providers.chi.spec import FOLDER, PORT, container_spec
from provisioning.providers.chi.tenancy import (
    MADE,
    choose_device,
    lease_of,
    made_lease,
    note_lease_to_make,
    one_at_a_time,
    settle,
)

AGENT_TIMEOUT_S = 180.0
REACH_TIMEOUT_S = 60.0
REBIND_AFTER_S = 15.0
CONNECT_TIMEOUT_S = 3.0
POLL_INTERVAL_S = 0.1
T = TypeVar("T")

LOOK = f'd={FOLDER}; mkdir -p "$d" && echo "$d" && if command -v server >/dev/null; then echo agent; fi'


class ChiProvider:
    """Runs the agent in a container on a leased device."""

    kind = "chi"

    def create(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Lease, container, agent, address: each is kept when it is there, and made when it is not."""
        require_container_name(deployment.name)
        if key := deployment.options.get("ssh-key"):
            chi_ssh.public_key(key)
        site = open_site()
        owner = deployment.resources.setdefault("owner", secrets.token_hex(8))
        note_lease_to_make(deployment)
        save()
        containers = Containers(site, patience_s())
        made = _own_container(site, containers, deployment, save, report)
        deployment.resources["container"] = made.id
        save()
        running = containers.wait_until_running(made.id, report)
        folder = _agent_folder(containers, running.id, extras.of_device(deployment.options), report)
        _wait_for_agent(containers, running.id, folder)
        addresses = Addresses(site, patience_s())
        assert running.port_id is not None
        deployment.resources["folder"] = folder
        with _asking_for("address", deployment, save):
            address = addresses.obtain(deployment.name, owner, running.port_id)
        deployment.resources["address"] = address.id
        save()
        port = int(deployment.options.get("port") or PORT)
        _wait_until_it_answers(addresses, address, running.port_id, port, report)
        deployment.url = f"https://{address.address}:{port}"
        if key := deployment.options.get("ssh-key"):
            reached = chi_ssh.let_in(containers, running.id, folder, key)
            report(f"log in with: {chi_ssh.command(deployment.name, key, address.address, *reached)}")

    def certificate(self, deployment: Deployment) -> str | None:
        """Read by a command in the container, over the site's own protected connection."""
        containers, container = _running_container(deployment)
        done = containers.execute(container, "cat", f"{_folder(deployment)}/tls/cert.pem", again=True)
        if done.code != 0:
            hint = f"`provision repair {deployment.name}` starts its agent again"
            raise ProvisioningError(f"the agent has no certificate: {done.output.strip()}", hint=hint)
        return done.output

    def status(self, deployment: Deployment) -> Status:
        """The container's state and the time that the lease has left."""
        resources = deployment.resources
        if "container" not in resources:
            return Status(State.ABSENT, "nothing was made yet")
        site = open_site()
        left = _time_left(site, str(lease_of(deployment)))
        container = Containers(site).get(resources["container"])
        if container is None:
            return Status(State.ABSENT, f"the container is gone; {left}")
        if container.status != "Running":
            return Status(State.STOPPED, f"{container.status}: {container.reason or 'no reason given'}; {left}")
        if not any(each.port_id == container.port_id for each in Addresses(site).every()):
            return Status(State.STOPPED, f"its floating address is gone; {left}")
        return Status(State.RUNNING, left)

    def logs(self, deployment: Deployment, tail: int) -> Iterator[str]:
        """The container's log."""
        if "container" in deployment.resources:
            containers, container = _running_container(deployment)
            yield from containers.logs(container, tail)

    def exec(self, deployment: Deployment, command: Sequence[str], out: BinaryIO, err: BinaryIO) -> int:
        """Run a program in the container, detached, however long it takes."""
        containers, container = _running_container(deployment)
        return run_for_user(containers, container, _folder(deployment), command, out, err, deployment.name)

    def left_s(self, deployment: Deployment) -> float | None:
        """Seconds that its lease lasts."""
        return find_lease(open_site(), str(lease_of(deployment))).left_s

    def resume(self, deployment: Deployment, program: str | None, out: BinaryIO, err: BinaryIO) -> int:
        """Follow a program that the site had cut us off from."""
        containers, container = _running_container(deployment)
        return resume(containers, container, _folder(deployment), program, out, err, deployment.name)

    def push(self, deployment: Deployment, local: Path, remote: str) -> None:
        """Copy a file or a folder into the container, in parts."""
        containers, container = _running_container(deployment)
        Files(containers, container, _folder(deployment)).push(local, remote)

    def pull(self, deployment: Deployment, remote: str, local: Path) -> None:
        """Copy a file or a folder from the container, in parts."""
        containers, container = _running_container(deployment)
        Files(containers, container, _folder(deployment)).pull(remote, local)

    def destroy(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Give back the address, then the container, found by our marks, then the lease if that goes too; one failure
        does not stop the rest."""
        owner = deployment.resources.get("owner")
        if owner is None and not deployment.with_lease:
            return
        site = open_site()
        problems = [] if owner is None else remove_what_is_ours(site, owner, deployment.resources.get("asked"), report)
        attempt(partial(settle, site, deployment, report), problems)
        if problems:
            raise LeftBehind("; ".join(problems), hint="`provision orphans` shows what is still allocated")
        chi_ssh.known_hosts(deployment.name).unlink(missing_ok=True)
        deployment.resources.clear()
        save()

    def remains(self, deployment: Deployment) -> list[str]:
        """Container and address, both until the site is asked, since a kill may have come before an answer."""
        resources = deployment.resources
        if "owner" not in resources:
            return []
        known = [f"{what} {resources[what]}" for what in ("container", "address", MADE) if what in resources]
        asked = [f"a {resources['asked']} that was being asked for"] if resources.get("asked") else []
        hint = "`provision orphans` lists what is still allocated at CHI@Edge, and gives it back"
        return [*known, *asked, hint] if known or asked else []


def _own_container(site: Site, containers: Containers, deployment: Deployment, save: Save, report: Report) -> Container:
    """The deployment's container: the one that is there, else a new one."""
    owner, name = deployment.resources["owner"], deployment.name
    every = containers.every()
    for container in [each for each in every if each.owner == owner]:
        if container.status in ("Creating", "Created", "Running"):
            return container
        report(f"its container is {container.status}: deleting it first")
        containers.delete(container.id)
    _require_free_name(every, name, owner)
    lease = _lease(site, deployment, save, report)
    with one_at_a_time():
        reservation = choose_device(lease, deployment.options.get("reservation"), containers.every(), owner, report)
        report(
            f"creating a container on {reservation.device or 'the device'}; lease {lease.name} has {lease.left} left"
        )
        with _asking_for("container", deployment, save):
            made = containers.create(name, owner, reservation.id, container_spec(deployment, reservation.device))
    rivals = [each for each in containers.every() if each.name == name and each.owner != owner]
    if any(each.id < made.id for each in rivals):  # of two at the same moment the same one gives way on both sides
        _require_free_name(rivals, name, owner)
    return made


def _lease(site: Site, deployment: Deployment, save: Save, report: Report) -> Lease:
    """The lease to run on: the one that was named, else one that is made."""
    if MADE not in deployment.resources:
        return usable_lease(site, str(deployment.options["lease"]), report)
    with _asking_for("lease", deployment, save):
        made = made_lease(site, deployment, report)
    return usable_lease(site, made.id, report)


@contextlib.contextmanager
def _asking_for(what: str, deployment: Deployment, save: Save) -> Iterator[None]:
    """Note what is being asked for until there is an answer: whoever finds the note knows that it may still appear."""
    deployment.resources["asked"] = what
    save()
    try:
        yield
    except SiteUnreachable:
        raise
    except ProvisioningError:
        deployment.resources["asked"] = None
        raise
    deployment.resources["asked"] = None


def _require_free_name(containers: Sequence[Container], name: str, owner: str) -> None:
    taken = [each for each in containers if each.name == name and each.owner != owner]
    if taken:
        whose = "another edgerun made it" if taken[0].owner else "edgerun did not make it"
        hint = "choose another --name; `provision orphans` shows what is allocated"
        raise ProvisioningError(f"the project has a container {name} already, and {whose}", hint=hint)


def _agent_folder(containers: Containers, container: str, wanted: Sequence[str], report: Report) -> str:
    """Where the agent keeps its files; installs the agent when the image does not have it."""
    looked = containers.shell(container, LOOK, again=True)
    lines = looked.output.split()
    if looked.code != 0 or not lines:
        hint = "the image needs sh, tar, and a folder that its user may write: /srv/edgerun, or EDGERUN_DATA"
        raise ProvisioningError(
            f"the container cannot be used: {looked.output.strip() or 'no answer in time'}", hint=hint
        )
    installed = ("test", "-f", f"{lines[0]}/installed")
    if "agent" not in lines[1:] and containers.execute(container, *installed, again=True).code != 0:
        install_agent(containers, container, lines[0], wanted, report)
    return lines[0]


def _wait_for_agent(containers: Containers, container: str, folder: str) -> None:
    deadline = time.monotonic() + AGENT_TIMEOUT_S
    while containers.execute(container, "test", "-f", f"{folder}/agent.json", again=True).code != 0:
        now = containers.get(container)
        if now is None or now.status not in ("Running", "Created"):
            why = "is gone" if now is None else f"is {now.status}: {now.reason}"
            raise ProvisioningError(f"the agent did not start: its container {why}", hint="its log is above")
        if time.monotonic() > deadline:
            raise ProvisioningError("the agent did not start in time", hint="its log is above")
        time.sleep(POLL_INTERVAL_S)


def _wait_until_it_answers(addresses: Addresses, address: Address, port_id: str, port: int, report: Report) -> None:
    """Wait for the address to lead to the agent; one that stays silent is bound once more, which often helps."""
    started, rebound = time.monotonic(), False
    while time.monotonic() - started < REACH_TIMEOUT_S:
        with contextlib.suppress(OSError), socket.create_connection((address.address, port), CONNECT_TIMEOUT_S):
            return
        if not rebound and time.monotonic() - started > REBIND_AFTER_S:
            report(f"{address.address} is silent: binding it again")
            address, rebound = addresses.bind(addresses.bind(address, None), port_id), True
        time.sleep(POLL_INTERVAL_S)
    hint = f"does a firewall between here and the site block port {port}? --port chooses another"
    raise ProvisioningError(f"the agent runs, but {address.address}:{port} does not answer", hint=hint)


def _running_container(deployment: Deployment) -> tuple[Containers, str]:
    if "container" not in deployment.resources:
        raise nothing_there(deployment.name)
    return Containers(open_site()), deployment.resources["container"]


def _folder(deployment: Deployment) -> str:
    return str(deployment.resources.get("folder", "/srv/edgerun"))


def _time_left(site: Site, wanted: str) -> str:
    try:
        lease = find_lease(site, wanted)
    except ProvisioningError as error:
        return str(error)
    return f"lease {lease.name} has {lease.left} left" if lease.status == "ACTIVE" else f"lease is {lease.status}"

"""What the loopback service has: tokens, leases, containers and addresses."""

import contextlib
import secrets
import shutil
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.chi_at_edge.containers import Image, Pod, agent_image, stock_image
from tests.chi_at_edge.forwarders import Forwarder
from tests.chi_at_edge.knobs import Knobs
from tests.chi_at_edge.leases import Lease, Reserved, free, matching
from tests.chi_at_edge.requests import Logged

AGENT_IMAGE = "edgerun/agent:loopback"
STOCK_IMAGE = "python:3.11-slim-bookworm"
PROJECT = "edge-project"
NETS = 200
FLOATING_ADDRESSES = 3
LEAST_FREE_PORT = 1024
DELETED_STATES = ("Deleting", "Deleted")


@dataclass
class Container:
    """A container's record, and its pod while it has one."""

    record: dict[str, Any]
    pod: Pod
    created: float
    reservation: str | None
    ports: tuple[int, ...]
    running_since: float | None = None
    deleted_at: float | None = None

    @property
    def port_id(self) -> str:
        """The Neutron port of its address."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.record["uuid"]))


@dataclass
class FloatingAddress:
    """A public address of the project."""

    id: str
    address: str
    description: str
    port_id: str | None = None
    forwarders: list[Forwarder] = field(default_factory=list)

    def unbind(self) -> None:
        """Let the address answer no longer."""
        for forwarder in self.forwarders:
            forwarder.close()
        self.forwarders, self.port_id = [], None


class Testbed:
    """One site. Its methods are what a test may do to it; the services call the same."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.knobs = Knobs()
        self.lock = threading.RLock()
        self.base = ""
        self.tokens: dict[str, float] = {}
        self.leases: dict[str, Lease] = {}
        self.containers: dict[str, Container] = {}
        self.addresses: dict[str, FloatingAddress] = {}
        self.log: list[Logged] = []
        self.images: dict[str, Image] = {AGENT_IMAGE: agent_image(), STOCK_IMAGE: stock_image(folder / "stock")}
        self._net, self._net_lock = _own_net()
        self._pods = 0
        self.add_lease("demo")

    def add_lease(
        self,
        name: str,
        status: str = "ACTIVE",
        hours: float = 4.0,
        resource_types: tuple[str, ...] = ("device",),
        starts_in_s: float = -60.0,
        count: int = 1,
    ) -> Lease:
        """A new lease with a reservation of `count` Raspberry Pis for each device; one that is PENDING becomes ACTIVE
        when it starts."""
        now = self.now()
        start = now + timedelta(seconds=starts_in_s)
        lease = Lease(name, status, start, now + timedelta(hours=hours), {})
        for kind in resource_types:
            there = free(
                matching([("machine_name", "raspberrypi4-64")]), [*self.leases.values(), lease], start, lease.end
            )
            devices = there[:count] if kind == "device" else []
            lease.reservations[str(uuid.uuid4())] = Reserved(kind, least=count, most=count, devices=devices)
        self.leases[lease.id] = lease
        return lease

    def now(self) -> datetime:
        """The time by the site's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.knobs.clock_ahead_s)

    def tick(self) -> None:
        """Let leases start and end. The device is gone with its lease; addresses stay."""
        for lease in self.leases.values():
            if lease.tick(self.now(), self.knobs.lease_starting_s):
                self.end_containers(lease)
        for container in [each for each in self.containers.values() if each.deleted_at is not None]:
            if container.deleted_at is not None and time.monotonic() >= container.deleted_at:
                self.forget(container)

    def end_containers(self, lease: Lease) -> None:
        """End what runs on a lease's devices."""
        for container in [each for each in self.containers.values() if each.reservation in lease.reservations]:
            self.forget(container)

    def active_reservation(self, reservation: str | None) -> bool:
        """Whether a container may be placed with this reservation."""
        found = [
            lease.reservations.get(reservation or "") for lease in self.leases.values() if lease.status == "ACTIVE"
        ]
        return any(each is not None and each.kind == "device" for each in found)

    def new_pod(self, identifier: str, image: Image, command: list[str], environment: dict[str, str]) -> Pod:
        """Files and an address for a container that is not started yet."""
        self._pods += 1
        host = f"127.88.{self._net}.{self._pods % 250 + 2}"
        return Pod(identifier, self.folder / identifier, image, command, environment, host)

    def forget(self, container: Container) -> None:
        """End a container and unbind its address."""
        container.pod.remove()
        for address in self.addresses.values():
            if address.port_id == container.port_id:
                address.unbind()
        self.containers.pop(container.record["uuid"], None)

    def allocate(self, description: str = "") -> FloatingAddress | None:
        """A floating address of the pool, None when all are taken."""
        taken = {each.address for each in self.addresses.values()}
        pool = (f"127.77.{self._net}.{10 + index}" for index in range(FLOATING_ADDRESSES))
        free = next((address for address in pool if address not in taken), None)
        if free is None:
            return None
        made = FloatingAddress(str(uuid.uuid4()), free, description)
        self.addresses[made.id] = made
        return made

    def bind(self, address: FloatingAddress, port_id: str | None) -> bool:
        """Let an address lead to a container; False when there is no such port."""
        address.unbind()
        if port_id is None:
            return True
        found = [each for each in self.containers.values() if each.port_id == port_id]
        if not found:
            return False
        address.port_id = port_id
        for port in found[0].ports:
            try:
                address.forwarders.append(Forwarder(address.address, found[0].pod.address, port))
            except OSError:  # ports below 1024 are not every user's, and this machine's own sshd may have 22
                if port >= LEAST_FREE_PORT:
                    raise
        return True

    def delete_credential(self) -> None:
        """Let the application credential be gone, and its tokens with it."""
        self.knobs.credential_deleted = True
        self.tokens.clear()

    def new_token(self) -> str:
        """A token that opens the services for a while."""
        token = secrets.token_hex(16)
        self.tokens[token] = time.monotonic() + self.knobs.token_lifetime_s
        return token

    def left(self) -> tuple[list[str], list[str]]:
        """What is allocated: names of containers, and addresses."""
        with self.lock:
            self.tick()
            alive = [each for each in self.containers.values() if each.record["status"] not in DELETED_STATES]
            return [each.record["name"] for each in alive], [each.address for each in self.addresses.values()]

    def calls(self, operation: str) -> list[Logged]:
        """The requests of one operation so far."""
        return [entry for entry in self.log if entry.operation == operation]

    def environment(self) -> dict[str, str]:
        """What a user of this site exports."""
        return {
            "OS_AUTH_TYPE": "v3applicationcredential",
            "OS_AUTH_URL": f"{self.base}/edge:5000/v3",
            "OS_REGION_NAME": "CHI@Edge",
            "OS_APPLICATION_CREDENTIAL_ID": "loopback",
            "OS_APPLICATION_CREDENTIAL_SECRET": "loopback secret",
        }

    def close(self) -> None:
        """End everything that runs and delete the files."""
        with self.lock:
            for address in self.addresses.values():
                address.unbind()
            for container in list(self.containers.values()):
                self.forget(container)
            self._net_lock.close()
            with contextlib.suppress(OSError):
                shutil.rmtree(self.folder)


def _own_net() -> tuple[int, socket.socket]:
    """The third number of this service's addresses: 0 unless another service runs on this machine."""
    for number in range(NETS):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0edgerun-chi-at-edge-{number}")
        except OSError:
            lock.close()
        else:
            return number, lock
    raise OSError("too many loopback services run on this machine")

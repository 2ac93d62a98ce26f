"""Which lease a deployment runs on, which deployments run on a lease, and the lease that `up --for` makes for one."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from filelock import FileLock
from platformdirs import user_state_path

from client.durations import parse_duration
from client.sdk.hosts import HostsFile
from provisioning.deployments import Deployment, Deployments
from provisioning.errors import ProvisioningError
from provisioning.lease_time import tell_agent
from provisioning.provider import Report
from provisioning.providers.chi.containers import Container, Containers
from provisioning.providers.chi.errors import LATE_S
from provisioning.providers.chi.lease_changes import Order, Wanted, delete_lease, in_words
from provisioning.providers.chi.leases import (
    LEAST_TIME_S,
    OVER,
    POLL_INTERVAL_S,
    Lease,
    NoLease,
    Reservation,
    device_reservation,
    find_lease,
    leases,
)
from provisioning.providers.chi.session import Site, open_site

OWNER_LETTERS = 8
LEAST_USE_S = 60.0
LIVE = ("Creating", "Created", "Running")
MADE = "lease"
"""Where a deployment's resources have the name of the lease that was made for it, noted before it is asked for."""


def lease_of(deployment: Deployment) -> str | None:
    """Id or name of the lease that a deployment runs on; None for what runs on none."""
    found = deployment.resources.get(MADE) or deployment.options.get("lease")
    return None if found is None else str(found)


def deployments_on(lease: Lease, deployments: Iterable[Deployment]) -> list[Deployment]:
    """Those of this user's deployments that run on a lease."""
    return [each for each in deployments if lease_of(each) in (lease.id, lease.name)]


def users(site: Site, lease: Lease, besides: str | None = None) -> list[str]:
    """Names of what runs on a lease but for one deployment: ours, and others' as far as edgerun made them."""
    deployments = list(Deployments())
    ours = [each.name for each in deployments_on(lease, deployments) if each.name != besides]
    owners = {each.resources.get("owner") for each in deployments}
    ids = {each.id for each in lease.reservations}
    every = Containers(site).every()
    return [*ours, *(each.name for each in every if each.reservation in ids and each.owner not in owners)]


def tell_deployments(lease: Lease, report: Report) -> None:
    """Tell everything of ours that runs on a lease its new end."""
    hosts = HostsFile().hosts()
    for deployment in deployments_on(lease, Deployments()):
        report(f"{deployment.name} may run until {in_words(lease.ends_at)}")
        if (host := hosts.get(deployment.name)) is not None and host.provider == deployment.provider:
            tell_agent(host, deployment, report)


def to_make(name: str, options: dict[str, Any], owner: str) -> Wanted:
    """The lease that `up --for` makes for a deployment; its name tells whose it is and is nobody else's."""
    named = f"edgerun-{name}-{owner[:OWNER_LETTERS]}"
    return Wanted(named, str(options["device-type"]), parse_duration(str(options["for"])))


def note_lease_to_make(deployment: Deployment) -> None:
    """Enter the lease that has to be made into a deployment's resources; the caller saves that first."""
    if "for" in deployment.options:
        wanted = to_make(deployment.name, deployment.options, deployment.resources["owner"])
        if wanted.length_s < LEAST_TIME_S + LEAST_USE_S:
            raise ProvisioningError(f"--for {deployment.options['for']} is too short for an agent to come up")
        deployment.resources.setdefault(MADE, wanted.name)


def made_lease(site: Site, deployment: Deployment, report: Report) -> Lease:
    """The lease that was made for a deployment, else one that is made now; raises ProvisioningError."""
    made = _made(site, deployment)
    if made is None:
        wanted = to_make(deployment.name, deployment.options, deployment.resources["owner"])
        report(f"asking for {wanted.held} as lease {wanted.name}")
        made = Order(site, wanted, report).place()
        report(f"lease {made.name} ends at {in_words(made.ends_at)}")
    elif made.status in OVER:
        hint = f"`provision down {deployment.name}`; then the same `up` makes a new one"
        raise ProvisioningError(f"the lease of {deployment.name} is {made.status}", hint=hint)
    return made


def choose_device(
    lease: Lease, chosen: str | None, containers: Iterable[Container], owner: str, report: Report
) -> Reservation:
    """The device reservation to run on; warns where another agent of the project runs on it."""
    others = [each for each in containers if each.owner != owner and each.status in LIVE]
    reservation = device_reservation(lease, chosen, [each.reservation for each in others])
    names = [each.name for each in others if each.reservation == reservation.id]
    if len(names) >= reservation.count:
        report(
            f"warning: {', '.join(names)} runs on the same device; what both do at once disturbs the other's figures"
        )
    return reservation


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep other `provision up` of this user from choosing a device, until a container tells that it is taken."""
    folder = user_state_path("edgerun")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(folder / "choosing-a-device.lock"):
        yield


def require_to_itself(deployment: Deployment) -> None:
    """Raise ProvisioningError where `down --with-lease` would take the lease from under another deployment."""
    mine = lease_of(deployment)
    if mine is None:
        raise ProvisioningError(f"{deployment.name} has no lease to give back")
    site = open_site()
    try:
        lease = find_lease(site, mine)
    except NoLease:
        return
    if lease.status not in OVER and (others := users(site, lease, deployment.name)):
        hint = f"`provision down {deployment.name}` leaves the lease to them"
        raise ProvisioningError(f"lease {lease.name} is used by {', '.join(others)} too", hint=hint)


def settle(site: Site, deployment: Deployment, report: Report) -> None:
    """Give a lease back with its deployment, or say how: one that `up` made goes when `up` never got there, another
    when the user asks. Raises ProvisioningError."""
    made = deployment.resources.get(MADE)
    if deployment.with_lease or (made and not deployment.was_up):
        give_back(site, deployment, report)
    elif made:
        report(f"its lease {made} stays: `provision lease delete {made}` gives it back")


def give_back(site: Site, deployment: Deployment, report: Report) -> None:
    """Give back the lease that a deployment ran on; fine when there is none any more."""
    if deployment.resources.get(MADE):
        lease = _made(site, deployment)
        deadline = time.monotonic() + (LATE_S if deployment.resources.get("asked") == "lease" else 0)
        while lease is None and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S / 4)
            lease = _made(site, deployment)
    else:
        try:
            lease = find_lease(site, str(lease_of(deployment)))
        except NoLease:
            lease = None
    if lease is not None:
        report(f"giving back lease {lease.name}")
        delete_lease(site, lease)


def _made(site: Site, deployment: Deployment) -> Lease | None:
    """The lease that was made for a deployment; its name is nobody else's."""
    found = [lease for lease in leases(site) if lease.name == deployment.resources[MADE]]
    return found[0] if found else None

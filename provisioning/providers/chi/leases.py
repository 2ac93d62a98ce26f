"""Leases: which device, until when, and whether that is enough."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from provisioning.errors import ProvisioningError
from provisioning.provider import Report
from provisioning.providers.chi.clock import SITE_CLOCK
from provisioning.providers.chi.errors import translate_errors
from provisioning.providers.chi.retry import repeat
from provisioning.providers.chi.session import Site

LEAST_TIME_S = 180.0
"""Less is left, and an agent would hardly be up before the device is taken away."""
LITTLE_TIME_S = 1800.0
PENDING_PATIENCE_S = 300.0
"""A lease that starts about now becomes active within a minute or so."""
POLL_INTERVAL_S = 1.0
OVER = ("TERMINATING", "TERMINATED", "DELETING", "ERROR")
IN_TRANSITION = ("CREATING", "STARTING", "UPDATING")
"""What Blazar calls a lease for some seconds, on its way to another state."""


class NoLease(ProvisioningError):
    """There is none of that id or name."""


@dataclass(frozen=True)
class Reservation:
    """One thing that a lease holds."""

    id: str
    kind: str
    """`device` for what containers run on."""
    device: str | None
    """The type or name that was asked for, where the lease tells."""
    count: int = 1
    """How many of them."""


@dataclass(frozen=True)
class Lease:
    """Time on devices; times are UTC."""

    id: str
    name: str
    status: str
    starts_at: datetime
    ends_at: datetime
    reservations: tuple[Reservation, ...]

    @property
    def devices(self) -> list[Reservation]:
        """The reservations that containers can run on."""
        return [each for each in self.reservations if each.kind == "device"]

    @property
    def held(self) -> str:
        """What containers can run on, for people: 2 raspberrypi4-64."""
        counts = Counter[str]()
        for each in self.devices:
            counts[each.device or each.id] += each.count
        return ", ".join(f"{count} {what}" if count > 1 else what for what, count in counts.items()) or "none"

    @property
    def left_s(self) -> float:
        """Seconds until it ends, 0 when it has."""
        return max(0.0, (self.ends_at - SITE_CLOCK.now()).total_seconds())

    @property
    def left(self) -> str:
        """The time that is left, for people."""
        minutes = int(self.left_s // 60)
        return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def leases(site: Site) -> list[Lease]:
    """All leases of the project; raises ProvisioningError."""
    with translate_errors("listing leases"):
        return [lease_of_document(document) for document in repeat(site.blazar.lease.list)]


def find_lease(site: Site, wanted: str) -> Lease:
    """The lease of that id, else of that name; raises ProvisioningError when there is none, or several."""
    every = leases(site)
    found = [lease for lease in every if lease.id == wanted] or [lease for lease in every if lease.name == wanted]
    alive = [lease for lease in found if lease.status not in OVER] or found
    if not alive:
        known = ", ".join(f"{lease.name} ({lease.status})" for lease in every) or "none"
        raise NoLease(f"no lease {wanted!r}; there are: {known}", hint="`provision lease create` makes one")
    if len(alive) > 1:
        ids = ", ".join(lease.id for lease in alive)
        raise ProvisioningError(f"{len(alive)} leases are named {wanted!r}", hint=f"give one by its id: {ids}")
    return alive[0]


def usable_lease(site: Site, wanted: str, report: Report, clock: Callable[[], float] = time.monotonic) -> Lease:
    """A lease that is active and lasts long enough, waiting for one that starts about now; raises ProvisioningError."""
    say_whose_clock_counts(report)
    lease = until_active(site, find_lease(site, wanted), report, clock)
    if lease.status != "ACTIVE":
        when = f"it starts at {lease.starts_at:%Y-%m-%d %H:%M} UTC" if lease.status == "PENDING" else "make a new one"
        raise ProvisioningError(f"lease {lease.name} is {lease.status}", hint=when)
    if lease.left_s < LEAST_TIME_S:
        hint = f"`provision lease extend {lease.name} --by 1h`, or make a new one"
        raise ProvisioningError(
            f"lease {lease.name} ends in {lease.left_s:.0f} s, too soon to start anything", hint=hint
        )
    if lease.left_s < LITTLE_TIME_S:
        report(f"lease {lease.name} ends in {lease.left}: fetch results before, they are lost with the device")
    return lease


def say_whose_clock_counts(report: Report) -> None:
    """Tell the user when this machine's clock is wrong."""
    if SITE_CLOCK.differs:
        report(f"{SITE_CLOCK.difference}; times of leases are by the site's")


def until_active(site: Site, lease: Lease, report: Report, clock: Callable[[], float] = time.monotonic) -> Lease:
    """A lease as it is once it is active, or does not become so soon; says what it waits for."""
    deadline, said = clock() + PENDING_PATIENCE_S, ""
    while _is_active_soon(lease) and clock() < deadline:
        if lease.status != said:
            said = lease.status
            report(f"lease {lease.name} is {said}: waiting until it is active")
        time.sleep(POLL_INTERVAL_S)
        lease = find_lease(site, lease.id)
    return lease


def device_reservation(lease: Lease, chosen: str | None, taken: Iterable[str | None] = ()) -> Reservation:
    """The device reservation that was chosen, else the first with a device left; raises ProvisioningError.

    `taken` has the reservation of each container that runs. The one reservation of a lease may be shared.
    """
    ids = ", ".join(each.id for each in lease.devices)
    if chosen is not None:
        found = [each for each in lease.devices if each.id == chosen]
        if not found:
            hint = f"its device reservations: {ids or 'none'}"
            raise ProvisioningError(f"lease {lease.name} has no device reservation {chosen}", hint=hint)
        return found[0]
    if not lease.devices:
        kinds = ", ".join(sorted({each.kind for each in lease.reservations})) or "nothing"
        hint = "containers run on leases of devices: make one at CHI@Edge"
        raise ProvisioningError(f"lease {lease.name} holds no device but {kinds}", hint=hint)
    used = Counter(taken)
    left = [each for each in lease.devices if used[each.id] < each.count]
    if not left and len(lease.devices) > 1:
        hint = f"--reservation chooses one to share: {ids}"
        raise ProvisioningError(f"agents run on all {len(lease.devices)} devices of lease {lease.name}", hint=hint)
    return (left or lease.devices)[0]


def _is_active_soon(lease: Lease) -> bool:
    until_start_s = (lease.starts_at - SITE_CLOCK.now()).total_seconds()
    return lease.status in ("PENDING", *IN_TRANSITION) and until_start_s < PENDING_PATIENCE_S


def lease_of_document(document: dict[str, Any]) -> Lease:
    """A lease out of Blazar's JSON."""
    reservations = tuple(
        Reservation(
            each["id"], each["resource_type"], _device(each.get("resource_properties")), int(each.get("max") or 1)
        )
        for each in document.get("reservations", [])
    )
    times = [datetime.fromisoformat(document[key]).replace(tzinfo=UTC) for key in ("start_date", "end_date")]
    return Lease(document["id"], document["name"], document["status"], times[0], times[1], reservations)


def _device(properties: str | None) -> str | None:
    """The device's type or name out of a reservation's query, such as ["==", "$machine_name", "raspberrypi4-64"], or
    the first of several such."""
    try:
        words = json.loads(properties or "")
    except ValueError:
        return None
    if isinstance(words, list) and words[:1] == ["and"] and len(words) > 1:
        words = words[1]
    if isinstance(words, list) and len(words) == 3 and words[0] == "==":
        return str(words[2])
    return None

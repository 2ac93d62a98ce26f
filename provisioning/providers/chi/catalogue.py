"""Which kinds of devices there are at CHI@Edge: from its documentation, and from the site where it tells."""

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from provisioning.providers.chi.clock import SITE_CLOCK
from provisioning.providers.chi.errors import is_about_identity, status_of, translate_errors
from provisioning.providers.chi.leases import Lease
from provisioning.providers.chi.retry import repeat
from provisioning.providers.chi.session import Site

UNTOLD = (403, 404)
"""What Blazar answers who may not see its devices: the list is for administrators by default, and Chameleon's own."""


@dataclass(frozen=True)
class Kind:
    """A kind of device."""

    name: str
    """What `--device-type` takes."""
    board: str = ""
    cpu: str = ""
    memory: str = ""
    gpu: str = ""
    runtime: str = ""
    """The container runtime that its GPU needs."""
    agent: str = ""
    """What of the device an agent can use."""

    @property
    def hardware(self) -> str:
        """What it is, for people."""
        return ", ".join(filter(None, (self.board, self.cpu, self.memory, self.gpu)))


@dataclass(frozen=True)
class Catalogue:
    """The documented kinds."""

    kinds: tuple[Kind, ...]
    page: str
    read: date
    """When the page was read."""


@dataclass(frozen=True)
class Told:
    """What the site says of a kind."""

    devices: int
    free: int | None
    """Not leased at this moment; None when the site shows no leases of others."""


@cache
def catalogue() -> Catalogue:
    """The documented kinds, with their date."""
    document = tomllib.loads(files(__package__).joinpath("devices.toml").read_text())
    source = document["source"]
    return Catalogue(tuple(Kind(**each) for each in document["kinds"]), source["page"], source["read"])


def is_known(kind: str) -> bool:
    """Whether it is one of the documented kinds."""
    return any(each.name == kind for each in catalogue().kinds)


def told(site: Site) -> Mapping[str, Told] | None:
    """By kind, what the site says of its devices; None when it does not tell users. Raises ProvisioningError."""
    devices = _get(site, "/devices", "devices")
    if devices is None:
        return None
    kinds = {str(each["id"]): str(each.get("machine_name") or "unknown") for each in devices if each.get("reservable")}
    allocations = _get(site, "/devices/allocations", "allocations")
    now = SITE_CLOCK.now()
    busy = Counter(
        kinds[str(each["resource_id"])]
        for each in allocations or ()
        if str(each["resource_id"]) in kinds
        and any(_moment(taken["start_date"]) <= now < _moment(taken["end_date"]) for taken in each["reservations"])
    )
    counts = Counter(kinds.values())
    return {
        kind: Told(count, count - busy[kind] if allocations is not None else None) for kind, count in counts.items()
    }


def device_names(site: Site, lease: Lease) -> list[str]:
    """Names of the devices that a lease got; none where the site does not tell."""
    return [str(each["name"]) for each in _get(site, f"/leases/{lease.id}/devices", "devices") or ()]


def latest_end(site: Site, lease: Lease) -> datetime | None:
    """When the next lease of its devices begins; None when nobody has them after it, or the site does not tell."""
    allocations = _get(site, "/devices/allocations", "allocations") or ()
    own = [
        each["reservations"]
        for each in allocations
        if any(taken["lease_id"] == lease.id for taken in each["reservations"])
    ]
    begins = [_moment(taken["start_date"]) for reservations in own for taken in reservations]
    return min((moment for moment in begins if moment >= lease.ends_at), default=None)


def _get(site: Site, path: str, key: str) -> list[dict[str, Any]] | None:
    """A list of Blazar's for which its client has no call; None when it does not tell."""
    with translate_errors("asking the site for its devices"):
        try:
            _, body = repeat(lambda: site.blazar.lease.request_manager.get(path))
        except Exception as error:
            if status_of(error) in UNTOLD and not is_about_identity(error):
                return None
            raise
        return list(body[key])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

"""Removing what a deployment has at the site, found by its marks: one failure does not stop the rest."""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from provisioning.errors import ProvisioningError
from provisioning.provider import Report
from provisioning.providers.chi.addresses import Addresses
from provisioning.providers.chi.containers import Containers
from provisioning.providers.chi.errors import LATE_S
from provisioning.providers.chi.retry import patience_s
from provisioning.providers.chi.session import Site

POLL_INTERVAL_S = 0.1
T = TypeVar("T")


def remove_what_is_ours(site: Site, owner: str, asked: str | None, report: Report) -> list[str]:
    """Give back addresses and containers of an owner; what could not be is returned. `asked` may only appear now."""
    problems: list[str] = []
    addresses, containers = Addresses(site, patience_s()), Containers(site, patience_s())
    for address in _found(lambda: addresses.own(owner), problems, wait=asked == "address"):
        report(f"giving back {address.address}")
        attempt(partial(addresses.release, address), problems)
    for container in _found(lambda: containers.own(owner), problems, wait=asked == "container"):
        report(f"deleting container {container.name}")
        attempt(partial(containers.delete, container.id), problems)
    return problems


def _found(look: Callable[[], list[T]], problems: list[str], *, wait: bool) -> list[T]:
    """What there is; with `wait` something was asked for and may still appear, as `provision` ended before it knew."""
    deadline = time.monotonic() + (LATE_S if wait else 0)
    try:
        while not (found := look()) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)
    except ProvisioningError as error:
        problems.append(str(error))
        return []
    return found


def attempt(act: Callable[[], None], problems: list[str]) -> None:
    """Do something; what goes wrong is added to the problems."""
    try:
        act()
    except ProvisioningError as error:
        problems.append(str(error))

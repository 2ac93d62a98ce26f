"""Leases made, extended and given back.

python-chi's own create logs a refusal and returns None, and counts from this machine's clock; Blazar is asked directly.
What it answers: too few devices and an unlucky moment are both a 500, a spent allocation or too long a lease a 400.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from client.durations import format_duration
from provisioning.errors import LeftBehind, ProvisioningError
from provisioning.provider import Report
from provisioning.providers.chi.catalogue import is_known, latest_end
from provisioning.providers.chi.clock import SITE_CLOCK
from provisioning.providers.chi.errors import (
    LATE_S,
    NotAdmitted,
    SiteUnreachable,
    is_missing,
    took_effect_perhaps,
    translate_errors,
)
from provisioning.providers.chi.leases import (
    IN_TRANSITION,
    OVER,
    POLL_INTERVAL_S,
    Lease,
    find_lease,
    lease_of_document,
    leases,
    say_whose_clock_counts,
    until_active,
)
from provisioning.providers.chi.retry import repeat
from provisioning.providers.chi.session import Site

NAME_MAX = 80
"""What Blazar's database takes."""
NAME_PATTERN = rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_MAX - 1}}}"
KIND_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*"
DATE = "%Y-%m-%d %H:%M"
DELETE_PATIENCE_S = 20.0
SPENT = re.compile(r"\bSUs\b|budget|quota|allocation", re.IGNORECASE)
TOO_LONG = re.compile("lease duration|can only be extended within", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """A lease to be made."""

    name: str
    device: str
    """The kind, as Blazar's `machine_name`."""
    length_s: float
    count: int = 1
    starts_at: datetime | None = None
    """None for now."""

    @property
    def held(self) -> str:
        """What it is to hold, for people."""
        return f"{self.count} {self.device}"

    def reservations(self) -> list[dict[str, Any]]:
        """One reservation for each device, in the form of python-chi's `add_device_reservation`.

        A single reservation with min and max 2 would have one id for both devices, and the site would choose on which
        of them a container runs; with an id for each device, each agent has its own.
        """
        query = json.dumps(["==", "$machine_name", self.device])
        return [
            {"resource_type": "device", "min": 1, "max": 1, "resource_properties": query} for _ in range(self.count)
        ]


class Order:
    """One lease that is asked for: once, found again by its name, and undone when nobody wants it any more."""

    def __init__(self, site: Site, wanted: Wanted, report: Report) -> None:
        self._site = site
        self._wanted = wanted
        self._report = report
        named = [lease for lease in leases(site) if lease.name == wanted.name]
        if alive := [lease for lease in named if lease.status not in OVER]:
            hint = f"`provision lease show {alive[0].id}`; choose another --name, or `provision lease delete` it"
            raise ProvisioningError(f"there is a lease {wanted.name} already ({alive[0].status})", hint=hint)
        self._before = {lease.id for lease in named}

    def place(self) -> Lease:
        """Make it; when the answer is lost, look whether it is there. Raises ProvisioningError."""
        wanted = self._wanted
        starts_at = wanted.starts_at or SITE_CLOCK.now()
        ends_at = whole_minute(starts_at + timedelta(seconds=wanted.length_s))
        start = "now" if wanted.starts_at is None else starts_at.strftime(DATE)
        try:
            with translate_errors(f"making lease {wanted.name}"):
                document = self._site.blazar.lease.create(
                    name=wanted.name,
                    start=start,
                    end=ends_at.strftime(DATE),
                    reservations=wanted.reservations(),
                    events=[],
                )
        except ProvisioningError as error:
            made = self._appeared(LATE_S if isinstance(error, SiteUnreachable) else 0) if _unsure(error) else []
            if not made:
                raise _refused(error, lambda: _too_few(wanted, starts_at, ends_at)) from error
            self._report(f"the site's answer was lost, but lease {wanted.name} is there")
            return made[0]
        return lease_of_document(document)

    def undo(self) -> None:
        """Give back what was made, also what the site makes only now; what may be left is said."""
        name = self._wanted.name
        self._report(f"undoing lease {name}")
        try:
            for lease in self._appeared(LATE_S):
                delete_lease(self._site, lease)
                self._report(f"lease {name} was given back")
        except (ProvisioningError, KeyboardInterrupt) as error:
            why = "interrupted again" if isinstance(error, KeyboardInterrupt) else str(error)
            self._report(f"{why}; there may still be a lease {name}: `provision lease delete {name}` gives it back")

    def _appeared(self, patience_s: float) -> list[Lease]:
        deadline = time.monotonic() + patience_s
        while True:
            every = leases(self._site)
            made = [each for each in every if each.name == self._wanted.name and each.id not in self._before]
            if made or time.monotonic() >= deadline:
                return made
            time.sleep(POLL_INTERVAL_S / 4)


def make_lease(site: Site, wanted: Wanted, report: Report, *, wait: bool) -> Lease:
    """A new lease, active unless it starts later or nobody waits; undone when the user interrupts."""
    say_whose_clock_counts(report)
    order = Order(site, wanted, report)
    report(f"asking for {wanted.held} as lease {wanted.name}")
    try:
        lease = order.place()
        if not wait:
            return lease
        with _saying_that_it_is_there(lease):
            active = until_active(site, lease, report)
    except KeyboardInterrupt:
        order.undo()
        raise
    if active.status == "ERROR":
        order.undo()
        raise ProvisioningError(f"the site could not start lease {lease.name}: it is ERROR", hint="try again")
    return active


def extend_lease(site: Site, lease: Lease, by_s: float, report: Report) -> Lease:
    """A lease with a later end; raises ProvisioningError with the site's reason when it may not have one."""
    if lease.status in OVER:
        hint = "`provision lease create` makes a new one"
        raise ProvisioningError(f"lease {lease.name} is {lease.status}: it cannot be extended any more", hint=hint)
    if lease.status in IN_TRANSITION:
        lease = until_active(site, lease, report)
    return set_end(site, lease, whole_minute(lease.ends_at + timedelta(seconds=by_s)))


def set_end(site: Site, lease: Lease, end: datetime) -> Lease:
    """The lease with that end; raises ProvisioningError.

    An end and not blazarclient's `prolong_for`, which adds to the end that it reads: repeated after a lost answer, it
    would extend twice.
    """
    try:
        with translate_errors(f"extending lease {lease.name}"):
            change = repeat(lambda: site.blazar.lease.update(lease.id, end_date=end.strftime(DATE)))
            return lease_of_document(change)
    except ProvisioningError as error:
        if _unsure(error) and (now := find_lease(site, lease.id)).ends_at == end:
            return now
        raise _refused(error, lambda: _taken_after(site, lease, end)) from error


def delete_lease(site: Site, lease: Lease) -> None:
    """Give a lease back, with all that runs on it; fine when it is gone. Raises LeftBehind, and NotAdmitted."""
    try:
        with translate_errors(f"giving back lease {lease.name}"):
            repeat(lambda: site.blazar.lease.delete(lease.id), DELETE_PATIENCE_S)
    except NotAdmitted:
        raise
    except ProvisioningError as error:
        if (error.__cause__ is not None and is_missing(error.__cause__)) or _is_gone(site, lease):
            return
        hint = f"`provision lease delete {lease.id}` tries again"
        raise LeftBehind(f"lease {lease.name} is still there: {error}", hint=hint) from error


def whole_minute(moment: datetime) -> datetime:
    """The minute that begins then or next; Blazar has no seconds."""
    begun = moment.replace(second=0, microsecond=0)
    return begun if begun == moment else begun + timedelta(minutes=1)


def in_words(moment: datetime) -> str:
    """A moment in UTC, as the site has it, and on this machine's clock."""
    local = moment.astimezone()
    here = f" ({local:%H:%M %Z})" if local.utcoffset() else ""
    return f"{moment:%Y-%m-%d %H:%M} UTC{here}"


@contextlib.contextmanager
def _saying_that_it_is_there(lease: Lease) -> Iterator[None]:
    try:
        yield
    except ProvisioningError as error:
        hint = f"`provision lease show {lease.name}`, or `provision lease delete {lease.name}`"
        raise ProvisioningError(f"lease {lease.name} was made, but then: {error}", hint=hint) from error


def _is_gone(site: Site, lease: Lease) -> bool:
    try:
        return all(each.id != lease.id for each in leases(site))
    except ProvisioningError:
        return False


def _said(error: ProvisioningError) -> str:
    """Blazar's own words."""
    return " ".join(str(error.__cause__ or error).removeprefix("ERROR: ").split())


def _unsure(error: ProvisioningError) -> bool:
    """Whether it may have happened. Blazar says with a 500, too, that devices are taken, and then it has not."""
    return took_effect_perhaps(error) and not _is_about_devices(error)


def _is_about_devices(error: ProvisioningError) -> bool:
    return _said(error).lower().startswith("not enough")


def _refused(error: ProvisioningError, no_device: Callable[[], ProvisioningError]) -> ProvisioningError:
    """A refusal in a line that helps; other errors as they are."""
    doing, said = str(error).partition(":")[0], _said(error)
    if _is_about_devices(error):
        return no_device()
    if isinstance(error, NotAdmitted | SiteUnreachable):
        return error
    if SPENT.search(said):
        hint = "a shorter time or fewer devices; the project's page at Chameleon shows what is left"
        return ProvisioningError(f"{doing}: the project may not spend that: {said}", hint=hint)
    if TOO_LONG.search(said):
        words = re.sub(r"(\d+) seconds", lambda found: format_duration(float(found[1])), said)
        return ProvisioningError(f"{doing}: {words}", hint="choose a shorter time, or extend it later")
    return error


def _too_few(wanted: Wanted, starts_at: datetime, ends_at: datetime) -> ProvisioningError:
    when = f"from {in_words(starts_at)} to {in_words(ends_at)}"
    known = "" if is_known(wanted.device) else f"{wanted.device} is none of the kinds that `provision devices` lists; "
    hint = f"{known}another time (--starts, --for), another kind" + (", fewer (--count)" if wanted.count > 1 else "")
    return ProvisioningError(f"not enough devices are free for {wanted.held} {when}", hint=hint)


def _taken_after(site: Site, lease: Lease, end: datetime) -> ProvisioningError:
    latest = latest_end(site, lease)
    until = f"the latest end is {in_words(latest)}" if latest else "the site does not tell users until when it is free"
    what = f"lease {lease.name} cannot last until {in_words(end)}: another lease has its device by then, it seems"
    return ProvisioningError(what, hint=f"{until}; a shorter --by may do")

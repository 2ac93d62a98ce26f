"""Blazar with its plugin for devices, as Chameleon's fork of it answers: leases made, changed and ended; devices.

What the database would not take, such as unknown fields, is refused here in words of this service's own.
"""

import json
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter

from tests.chi_at_edge.leases import ALIVE, DEVICES, Lease, Reserved, free, matching
from tests.chi_at_edge.requests import Refusal
from tests.chi_at_edge.state import PROJECT, Testbed

Document = dict[str, Any]
Documents = list[Document]
Names = list[str]
DATE = "%Y-%m-%d %H:%M"
NAME_MAX = 80
CREATABLE = {"name", "start_date", "end_date", "reservations", "events", "before_end_date"}
RESERVABLE = {"resource_type", "resource_properties", "min", "max", "before_end"}
UPDATABLE = {"name", "end_date"}


class Blazar:
    """Who has which device for how long."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self.router = APIRouter(prefix="/reservation/v1")
        self.router.add_api_route("/leases", self.list)
        self.router.add_api_route("/leases", self.create, methods=["POST"], status_code=201)
        self.router.add_api_route("/leases/{lease_id}", self.get)
        self.router.add_api_route("/leases/{lease_id}", self.update, methods=["PUT"])
        self.router.add_api_route("/leases/{lease_id}", self.delete, methods=["DELETE"])
        self.router.add_api_route("/leases/{lease_id}/devices", self.lease_devices)
        self.router.add_api_route("/devices", self.devices)
        self.router.add_api_route("/devices/allocations", self.allocations)

    def list(self) -> Document:
        """All leases of the project."""
        return {"leases": [_document(lease) for lease in self._testbed.leases.values()]}

    def get(self, lease_id: str) -> Document:
        """One lease; names are not found, as in Blazar."""
        return {"lease": _document(self._require(lease_id))}

    def create(self, body: Document) -> Document:
        """A lease, once every reservation has its devices; several of one name are fine."""
        _only(body, CREATABLE)
        if missing := {"name", "start_date", "end_date"} - set(body):
            raise _refused(400, f"Missing parameter {', '.join(missing)}")
        if len(body["name"]) > NAME_MAX:  # what MySQL says in its strict mode reaches nobody
            raise _refused(500, "Internal Server Error")
        now = self._testbed.now().replace(second=0, microsecond=0)
        start, end = (now if body[key] == "now" else _date(body[key]) for key in ("start_date", "end_date"))
        if start < now:
            raise _refused(400, "Start date must be later than current date")
        if end <= start:
            raise _refused(400, "End date must be later than start date.")
        with self._testbed.lock:
            for wanted in body["reservations"]:  # each for itself, before any is there
                self._candidates(wanted, [], start, end)
            hours = (end - start).total_seconds() / 3600
            self._enforce(hours, hours * sum(int(each["max"]) for each in body["reservations"]), "")
            lease = Lease(body["name"], "PENDING", start, end, {})
            for wanted in body["reservations"]:
                devices = self._candidates(wanted, [lease], start, end)
                properties, counts = wanted["resource_properties"], (int(wanted["min"]), int(wanted["max"]))
                lease.reservations[str(uuid.uuid4())] = Reserved("device", properties, *counts, devices)
            lease.starts_after = time.monotonic() + self._testbed.knobs.lease_delay_s
            self._testbed.leases[lease.id] = lease
            return {"lease": _document(lease)}

    def update(self, lease_id: str, body: Document) -> Document:
        """Another name or another end; the devices stay, so they must be free until then."""
        _only(body, UPDATABLE)
        with self._testbed.lock:
            lease = self._require(lease_id)
            if lease.status not in ("PENDING", "ACTIVE", "TERMINATED", "ERROR"):
                raise _refused(500, "Invalid lease status.")
            if "end_date" in body:
                self._move_end(lease, _date(body["end_date"]))
            lease.name = body.get("name", lease.name)
            return {"lease": _document(lease)}

    def delete(self, lease_id: str) -> Document:
        """End a lease with all that runs on it; it is not listed any more."""
        with self._testbed.lock:
            lease = self._require(lease_id)
            self._testbed.end_containers(lease)
            del self._testbed.leases[lease_id]
        return {}

    def lease_devices(self, lease_id: str) -> Document:
        """What Chameleon's fork adds for the owner of a lease."""
        return {"devices": [_device(name) for name in self._require(lease_id).devices]}

    def devices(self) -> Document:
        """All devices, for administrators unless the site has another policy."""
        self._require_right("get")
        return {"devices": [_device(name) for name in DEVICES]}

    def allocations(self) -> Document:
        """Who has which device when, for the same."""
        self._require_right("get_allocations")
        return {"allocations": [{"resource_id": _id(name), "reservations": self._taken(name)} for name in DEVICES]}

    def _taken(self, name: str) -> Documents:
        return [
            {"id": reservation, "lease_id": lease.id, "start_date": _stamp(lease.start), "end_date": _stamp(lease.end)}
            for lease in self._testbed.leases.values()
            for reservation, reserved in lease.reservations.items()
            if name in reserved.devices and lease.status in ALIVE
        ]

    def _require(self, lease_id: str) -> Lease:
        lease = self._testbed.leases.get(lease_id)
        if lease is None:
            raise _refused(404, f"Object with {{'lease_id': '{lease_id}'}} not found")
        return lease

    def _require_right(self, action: str) -> None:
        if not self._testbed.knobs.devices_for_users:
            raise _refused(403, f"Policy doesn't allow blazar:devices:{action} to be performed")

    def _candidates(self, wanted: Document, besides: Iterable[Lease], start: datetime, end: datetime) -> Names:
        """Devices for a reservation; raises what Blazar answers when there are too few, which is a 500."""
        _only(wanted, RESERVABLE)
        if wanted.get("resource_type") != "device":
            raise _refused(500, f"The {wanted.get('resource_type')} resource type is not supported")
        least, most = (_count(wanted, key) for key in ("min", "max"))
        if most < least:
            raise _refused(400, "Invalid values for min/max of hosts. Max must be equal to or larger than min.")
        if "resource_properties" not in wanted:
            raise _refused(400, "Missing parameter resource_properties")
        requirements = _requirements(wanted["resource_properties"])
        found = free(matching(requirements), [*self._testbed.leases.values(), *besides], start, end)
        if len(found) < least:
            if besides:
                raise _refused(500, "Not enough hosts available")
            raise _refused(500, f"Not enough resources available with query {wanted}")
        return found[:most]

    def _enforce(self, hours: float, spent: float, more: str) -> None:
        longest, left = self._testbed.knobs.longest_lease_s, self._testbed.knobs.hours_left
        if longest is not None and hours * 3600 > longest:
            said = f"Lease duration of {hours * 3600:.0f} seconds must be less than or equal to the maximum lease "
            raise _refused(400, f"{said}duration of {longest:.0f} seconds.")
        if left is not None and spent > left:
            what = "Reservation update" if more else f"Reservation for project {PROJECT}"
            raise _refused(400, f"{what} would spend {spent:.2f} {more}SUs, only {left:.2f} left")

    def _move_end(self, lease: Lease, end: datetime) -> None:
        now = self._testbed.now().replace(second=0, microsecond=0)
        if lease.end < now:
            raise _refused(400, "Terminated leases can only be renamed")
        if end < now or end < lease.start:
            raise _refused(400, "End date must be later than current and start date")
        spent = (end - lease.end).total_seconds() / 3600 * len(lease.devices)
        self._enforce((end - lease.start).total_seconds() / 3600, spent, "more ")
        others = [each for each in self._testbed.leases.values() if each is not lease]
        if end > lease.end and len(free(lease.devices, others, lease.end, end)) < len(lease.devices):
            raise _refused(500, "Not enough hosts available")
        lease.end = end


def _only(given: Document, known: set[str]) -> None:
    if unknown := set(given) - known:
        raise _refused(400, f"Malformed parameter {', '.join(sorted(unknown))}")


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, DATE).replace(tzinfo=UTC)
    except (ValueError, TypeError):
        raise _refused(400, f"{text} is an invalid date. Required format: {DATE}") from None


def _count(wanted: Document, key: str) -> int:
    if wanted.get(key) is None:
        raise _refused(400, f"Missing parameter {key}")
    if not str(wanted[key]).isdigit():
        raise _refused(400, f"Malformed parameter {key}")
    if int(wanted[key]) <= 0:
        raise _refused(400, "Malformed parameter min and max (must be greater than or equal to 1)")
    return int(wanted[key])


def _requirements(text: str) -> list[tuple[str, str]]:
    """Names and values out of `["==", "$name", "value"]`, or several of these after "and"."""
    try:
        query = json.loads(text or "[]")
        every = query[1:] if query[:1] == ["and"] else [query] if query else []
        if all(len(each) == 3 and each[0] == "==" and each[1].startswith("$") and each[2] for each in every):
            return [(each[1][1:], each[2]) for each in every]
    except (ValueError, TypeError, AttributeError):
        pass
    raise _refused(400, f"Malformed requirements {text}")


def _refused(status: int, message: str) -> Refusal:
    return Refusal("blazar", status, message)


def _id(name: str) -> str:
    return str(list(DEVICES).index(name) + 1)


def _device(name: str) -> Document:
    uid = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    known = {"id": _id(name), "name": name, "uid": uid, "machine_name": DEVICES[name]}
    return {**known, "device_type": "container", "device_driver": "k8s", "reservable": True}


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _document(lease: Lease) -> Document:
    state = {"ACTIVE": "active", "TERMINATED": "deleted"}.get(lease.status, "pending")
    return {
        "id": lease.id,
        "name": lease.name,
        "status": lease.status,
        "start_date": _stamp(lease.start),
        "end_date": _stamp(lease.end),
        "created_at": lease.start.strftime("%Y-%m-%d %H:%M:%S"),
        "updated_at": None,
        "project_id": "project",
        "user_id": "user",
        "degraded": False,
        "trust_id": None,
        "events": [],
        "reservations": [
            {
                "id": identifier,
                "lease_id": lease.id,
                "resource_id": "1",
                "resource_type": reserved.kind,
                "status": state,
                "resource_properties": reserved.properties,
                "before_end": "default",
                "min": reserved.least,
                "max": reserved.most,
                "missing_resources": False,
                "resources_changed": False,
            }
            for identifier, reserved in lease.reservations.items()
        ],
    }

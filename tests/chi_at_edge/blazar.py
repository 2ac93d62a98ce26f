"""Blazar: leases, by id or all of them."""

from typing import Any

from fastapi import APIRouter

from tests.chi_at_edge.requests import Refusal
from tests.chi_at_edge.state import Lease, Testbed


class Blazar:
    """Who has which device for how long."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self.router = APIRouter(prefix="/reservation/v1")
        self.router.add_api_route("/leases", self.list)
        self.router.add_api_route("/leases/{lease_id}", self.get)

    def list(self) -> dict[str, Any]:
        """All leases of the project."""
        return {"leases": [_document(lease) for lease in self._testbed.leases.values()]}

    def get(self, lease_id: str) -> dict[str, Any]:
        """One lease; names are not found, as in Blazar."""
        lease = self._testbed.leases.get(lease_id)
        if lease is None:
            raise Refusal("blazar", 404, f"Object with {{'lease_id': '{lease_id}'}} not found")
        return {"lease": _document(lease)}


def _document(lease: Lease) -> dict[str, Any]:
    return {
        "id": lease.id,
        "name": lease.name,
        "status": lease.status,
        "start_date": lease.start.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "end_date": lease.end.strftime("%Y-%m-%dT%H:%M:%S.%f"),
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
                "resource_type": kind,
                "status": "active" if lease.status == "ACTIVE" else "pending",
                "resource_properties": '["==", "$machine_name", "raspberrypi4-64"]',
                "min": 1,
                "max": 1,
                "missing_resources": False,
                "resources_changed": False,
            }
            for identifier, kind in lease.reservations.items()
        ],
    }

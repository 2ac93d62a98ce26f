"""The request log, the names of operations, and the shapes in which each service refuses."""

import re
from dataclasses import dataclass
from typing import Any

OPERATIONS = (
    ("keystone.sites", "GET", r"/sites\.json"),
    ("keystone.token", "POST", r"/edge:5000/v3/auth/tokens"),
    ("blazar.get", "GET", r"/reservation/v1/leases/[^/]+"),
    ("blazar.list", "GET", r"/reservation/v1/leases"),
    ("blazar.create", "POST", r"/reservation/v1/leases"),
    ("blazar.update", "PUT", r"/reservation/v1/leases/[^/]+"),
    ("blazar.delete", "DELETE", r"/reservation/v1/leases/[^/]+"),
    ("blazar.lease_devices", "GET", r"/reservation/v1/leases/[^/]+/devices"),
    ("blazar.devices", "GET", r"/reservation/v1/devices"),
    ("blazar.allocations", "GET", r"/reservation/v1/devices/allocations"),
    ("zun.list", "GET", r"/container/v1/containers/?"),
    ("zun.create", "POST", r"/container/v1/containers/?"),
    ("zun.get", "GET", r"/container/v1/containers/[^/]+"),
    ("zun.delete", "DELETE", r"/container/v1/containers/[^/]+"),
    ("zun.execute", "POST", r"/container/v1/containers/[^/]+/execute"),
    ("zun.put_archive", "POST", r"/container/v1/containers/[^/]+/put_archive"),
    ("zun.get_archive", "GET", r"/container/v1/containers/[^/]+/get_archive"),
    ("zun.logs", "GET", r"/container/v1/containers/[^/]+/logs"),
    ("zun.commit", "POST", r"/container/v1/containers/[^/]+/commit"),
    ("neutron.networks", "GET", r"/network/v2\.0/networks"),
    ("neutron.list", "GET", r"/network/v2\.0/floatingips"),
    ("neutron.get", "GET", r"/network/v2\.0/floatingips/[^/]+"),
    ("neutron.create", "POST", r"/network/v2\.0/floatingips"),
    ("neutron.update", "PUT", r"/network/v2\.0/floatingips/[^/]+"),
    ("neutron.delete", "DELETE", r"/network/v2\.0/floatingips/[^/]+"),
)
"""Name, method and path of everything that is served; the name begins with the service."""


@dataclass
class Logged:
    """A request as it came, and how it was answered."""

    operation: str
    method: str
    target: str
    """Path and query, as sent."""
    body: bytes
    status: int | None = None
    """None until it is answered."""


class Refusal(Exception):
    """A service's way of saying no: an HTTP status and a body of the service's own shape."""

    def __init__(self, service: str, status: int, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = refusal_body(service, status, message, kind)


def operation_of(method: str, path: str) -> str:
    """The name of an operation, `unknown` for what is not served."""
    for name, its_method, pattern in OPERATIONS:
        if method == its_method and re.fullmatch(pattern, path):
            return name
    return "unknown"


def refusal_body(service: str, status: int, message: str, kind: str = "") -> dict[str, Any]:
    """The error document of one of the four services."""
    if service == "keystone":
        return {"error": {"code": status, "message": message, "title": kind or "Error"}}
    if service == "blazar":
        return {"error_code": status, "error_message": message, "error_name": status}
    if service == "neutron":
        return {"NeutronError": {"type": kind or "Failure", "message": message, "detail": ""}}
    error = {"request_id": "", "code": "", "status": status, "title": message, "detail": message, "links": []}
    return {"errors": [error]}

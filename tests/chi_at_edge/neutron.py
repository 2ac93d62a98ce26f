"""Neutron: floating addresses."""

from typing import Any

from fastapi import APIRouter, Response

from tests.chi_at_edge.requests import Refusal
from tests.chi_at_edge.state import FloatingAddress, Testbed

PUBLIC_NETWORK = "public-network"
Document = dict[str, Any]


class Neutron:
    """Addresses from the outside to pods."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self.router = APIRouter(prefix="/network/v2.0")
        self.router.add_api_route("/networks", self.networks)
        self.router.add_api_route("/floatingips", self.list)
        self.router.add_api_route("/floatingips", self.create, methods=["POST"], status_code=201)
        self.router.add_api_route("/floatingips/{identifier}", self.get)
        self.router.add_api_route("/floatingips/{identifier}", self.update, methods=["PUT"])
        self.router.add_api_route("/floatingips/{identifier}", self.delete, methods=["DELETE"])

    def networks(self, name: str | None = None) -> Document:
        """The network that addresses come from, and the one pods are in."""
        public = {"id": PUBLIC_NETWORK, "name": "public", "router:external": True}
        inside = {"id": "containernet", "name": "containernet1", "router:external": False}
        return {"networks": [each for each in (public, inside) if name in (None, each["name"])]}

    def list(self, port_id: str | None = None) -> Document:
        """The project's addresses."""
        found = self._testbed.addresses.values()
        return {"floatingips": [_document(each) for each in found if port_id in (None, each.port_id)]}

    def get(self, identifier: str) -> Document:
        """One address."""
        return {"floatingip": _document(self._require(identifier))}

    def create(self, body: Document) -> Document:
        """Allocate an address, and bind it when a port is named."""
        wanted = body["floatingip"]
        with self._testbed.lock:
            address = self._testbed.allocate(wanted.get("description", ""))
            if address is None:
                message = f"No more IP addresses available on network {PUBLIC_NETWORK}."
                raise Refusal("neutron", 409, message, "IpAddressGenerationFailure")
            if not self._testbed.bind(address, wanted.get("port_id")):
                del self._testbed.addresses[address.id]
                raise Refusal("neutron", 404, f"Port {wanted['port_id']} could not be found.", "PortNotFound")
            return {"floatingip": _document(address)}

    def update(self, identifier: str, body: Document) -> Document:
        """Bind an address to another port, or to none."""
        with self._testbed.lock:
            address = self._require(identifier)
            self._testbed.bind(address, body["floatingip"].get("port_id"))
            return {"floatingip": _document(address)}

    def delete(self, identifier: str) -> Response:
        """Give an address back."""
        with self._testbed.lock:
            self._require(identifier).unbind()
            del self._testbed.addresses[identifier]
        return Response(status_code=204)

    def _require(self, identifier: str) -> FloatingAddress:
        if identifier not in self._testbed.addresses:
            message = f"Floating IP {identifier} could not be found"
            raise Refusal("neutron", 404, message, "FloatingIPNotFound")
        return self._testbed.addresses[identifier]


def _document(address: FloatingAddress) -> Document:
    return {
        "id": address.id,
        "floating_ip_address": address.address,
        "floating_network_id": PUBLIC_NETWORK,
        "port_id": address.port_id,
        "fixed_ip_address": None,
        "status": "ACTIVE" if address.port_id else "DOWN",
        "description": address.description,
        "tags": [],
        "created_at": "2026-01-01T00:00:00Z",
    }

"""Floating addresses: taken in one step, marked as ours, and given back. The one place that speaks to Neutron."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from provisioning.errors import LeftBehind, ProvisioningError
from provisioning.providers.chi.errors import is_missing, took_effect_perhaps, translate_errors
from provisioning.providers.chi.retry import BRIEF_S, repeat
from provisioning.providers.chi.session import Site

PUBLIC_NETWORK = "public"
MARK = "edgerun"


@dataclass(frozen=True)
class Address:
    """A floating address."""

    id: str
    address: str
    port_id: str | None
    """The container's port that it leads to."""
    deployment: str | None
    """The deployment that took it; None for what edgerun did not take."""
    owner: str | None


class Addresses:
    """The project's floating addresses."""

    def __init__(self, site: Site, patience_s: float = BRIEF_S) -> None:
        """`patience_s` is how long the site is asked again while it stumbles."""
        self._neutron = site.neutron
        self._patience_s = patience_s

    def every(self) -> list[Address]:
        """All of them, others' too."""
        with translate_errors("listing floating addresses"):
            return [_address(each) for each in self._repeat(self._neutron.list_floatingips)["floatingips"]]

    def own(self, owner: str) -> list[Address]:
        """Those that one deployment took."""
        return [each for each in self.every() if each.owner == owner]

    def obtain(self, name: str, owner: str, port_id: str) -> Address:
        """An address that leads to the port: one that does already, an own one, else a new one."""
        every = self.every()
        for address in every:
            if address.port_id == port_id:
                return address
        for address in every:
            if address.owner == owner:
                return self.bind(address, port_id)
        return self._take(name, owner, port_id)

    def bind(self, address: Address, port_id: str | None) -> Address:
        """Let an address lead to a port, or to none."""
        with translate_errors("binding the floating address"):
            body = {"floatingip": {"port_id": port_id}}
            return _address(self._repeat(partial(self._neutron.update_floatingip, address.id, body))["floatingip"])

    def release(self, address: Address) -> None:
        """Give an address back; raises LeftBehind."""
        try:
            self._repeat(partial(self._neutron.delete_floatingip, address.id))
        except Exception as error:
            if is_missing(error):
                return
            try:
                left = any(each.id == address.id for each in self.every())
            except ProvisioningError:
                left = True
            if left:
                said = " ".join(str(error).split())
                raise LeftBehind(f"floating address {address.address} is still taken: {said}") from error

    def _take(self, name: str, owner: str, port_id: str) -> Address:
        wanted = {"port_id": port_id, "floating_network_id": self._public_network()}
        wanted["description"] = f"{MARK} {name} {owner}"
        try:
            with translate_errors("taking a floating address"):
                return _address(self._neutron.create_floatingip({"floatingip": wanted})["floatingip"])
        except ProvisioningError as error:
            made = self.own(owner) if took_effect_perhaps(error) else []
            if not made:
                raise
            return made[0]

    def _public_network(self) -> str:
        with translate_errors("looking for the public network"):
            found = self._repeat(partial(self._neutron.list_networks, name=PUBLIC_NETWORK))["networks"]
        if not found:
            raise ProvisioningError(f"the site has no network {PUBLIC_NETWORK!r} to take addresses from")
        return str(found[0]["id"])

    def _repeat(self, call: Callable[[], Any]) -> Any:
        return repeat(call, self._patience_s)


def _address(document: dict[str, Any]) -> Address:
    words = (document.get("description") or "").split()
    ours = words[1:] if len(words) == 3 and words[0] == MARK else (None, None)
    return Address(document["id"], document["floating_ip_address"], document.get("port_id"), ours[0], ours[1])

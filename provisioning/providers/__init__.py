"""One folder a provider; each is imported when it is asked for, since each brings its own libraries."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from provisioning.errors import ProvisioningError
from provisioning.provider import Option, Provider


@dataclass(frozen=True)
class ProviderPackage:
    """What is known of a provider before it is asked for: the whole of its registration. What is named is imported
    when it is used."""

    provider: str
    """MODULE:CLASS."""
    places: str
    """What `--on` takes for it."""
    options: str | None = None
    """MODULE:CONSTANT, a sequence of Option."""
    commands: str | None = None
    """MODULE:FUNCTION that adds commands to `provision`, given its Typer."""
    plan: str | None = None
    """MODULE:FUNCTION that says what `up` would do, given the name and the options."""
    lease_check: str | None = None
    """MODULE:FUNCTION that raises ProvisioningError when a deployment's lease cannot be given back with it."""

    def taken(self) -> Sequence[Option]:
        """Options of `up` that it understands."""
        options: Sequence[Option] = load(self.options) if self.options is not None else ()
        return options


_HERE = "provisioning.providers"
KNOWN = {
    "local": ProviderPackage(f"{_HERE}.local:LocalProvider", "local"),
    "docker": ProviderPackage(
        f"{_HERE}.docker.provider:DockerProvider", "docker, docker://HOST", f"{_HERE}.docker.options:OPTIONS"
    ),
    "ssh": ProviderPackage(
        f"{_HERE}.ssh.board:BoardProvider", "ssh://USER@HOST[:PORT]", f"{_HERE}.ssh.options:OPTIONS"
    ),
    "chi": ProviderPackage(
        f"{_HERE}.chi.provider:ChiProvider",
        "chi",
        f"{_HERE}.chi.options:OPTIONS",
        commands=f"{_HERE}.chi.commands:register",
        plan=f"{_HERE}.chi.commands:plan",
        lease_check=f"{_HERE}.chi.tenancy:require_to_itself",
    ),
}
PLACES = ", ".join(package.places for package in KNOWN.values())


def package_of(kind: str) -> ProviderPackage:
    """A provider's registration; raises ProvisioningError for an unknown kind."""
    if kind not in KNOWN:
        raise ProvisioningError(f"nothing provisions on {kind!r}", hint=f"--on takes {PLACES}")
    return KNOWN[kind]


def provider_of(kind: str) -> Provider:
    """The provider of a kind; raises ProvisioningError for an unknown one."""
    provider: Provider = load(package_of(kind).provider)()
    return provider


def load(target: str) -> Any:
    """What MODULE:NAME names, imported now."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)

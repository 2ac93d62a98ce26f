"""One file a provider; each is imported when it is asked for, since each brings its own libraries."""

from provisioning.errors import ProvisioningError
from provisioning.provider import Provider

KINDS = ("local",)


def provider_of(kind: str) -> Provider:
    """The provider of a kind; raises ProvisioningError for an unknown one."""
    if kind == "local":
        from provisioning.providers.local import LocalProvider

        return LocalProvider()
    raise ProvisioningError(f"nothing provisions on {kind!r}", hint=f"--on takes {', '.join(KINDS)}")

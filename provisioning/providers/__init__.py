"""One file a provider; each is imported when it is asked for, since each brings its own libraries."""

from provisioning.errors import ProvisioningError
from provisioning.provider import Provider

KINDS = ("local", "docker", "ssh")
OPTIONS = {"image": "docker", "ssh-key": "ssh", "known-hosts": "ssh", "offline": "ssh"}
"""Options of `up` that one kind alone understands."""

PLACES = "local, docker, docker://HOST, ssh://USER@HOST"


def provider_of(kind: str) -> Provider:
    """The provider of a kind; raises ProvisioningError for an unknown one."""
    if kind == "local":
        from provisioning.providers.local import LocalProvider

        return LocalProvider()
    raise ProvisioningError(f"nothing provisions on {kind!r}", hint=f"--on takes {PLACES}")

"""One file a provider; each is imported when it is asked for, since each brings its own libraries."""

from provisioning.errors import ProvisioningError
from provisioning.provider import Provider

KINDS = ("local", "docker", "ssh", "chi")
OPTIONS = {
    "image": ("docker", "chi"),
    "platform": ("docker",),
    "volume": ("docker",),
    "ssh-key": ("ssh", "chi"),
    "known-hosts": ("ssh",),
    "offline": ("ssh",),
    "lease": ("chi",),
    "reservation": ("chi",),
    "device-profile": ("chi",),
}
"""Options of `up` that not every kind understands."""

PLACES = "local, docker, docker://HOST, ssh://USER@HOST[:PORT], chi"


def provider_of(kind: str) -> Provider:
    """The provider of a kind; raises ProvisioningError for an unknown one."""
    if kind == "local":
        from provisioning.providers.local import LocalProvider

        return LocalProvider()
    if kind == "chi":
        from provisioning.providers.chi import ChiProvider

        return ChiProvider()
    if kind == "docker":
        from provisioning.providers.docker import DockerProvider

        return DockerProvider()
    if kind == "ssh":
        from provisioning.providers.ssh import SshProvider

        return SshProvider()
    raise ProvisioningError(f"nothing provisions on {kind!r}", hint=f"--on takes {PLACES}")

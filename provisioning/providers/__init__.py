"""One folder a provider; each is imported when it is asked for, since each brings its own libraries."""

from importlib import import_module

from provisioning.errors import ProvisioningError
from provisioning.provider import Provider

PROVIDERS = {
    "local": "provisioning.providers.local:LocalProvider",
    "docker": "provisioning.providers.docker.provider:DockerProvider",
    "ssh": "provisioning.providers.ssh.provider:SshProvider",
    "chi": "provisioning.providers.chi.provider:ChiProvider",
}
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
    if kind not in PROVIDERS:
        raise ProvisioningError(f"nothing provisions on {kind!r}", hint=f"--on takes {PLACES}")
    module, _, name = PROVIDERS[kind].partition(":")
    provider: Provider = getattr(import_module(module), name)()
    return provider

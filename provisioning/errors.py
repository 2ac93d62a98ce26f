"""What can go wrong while provisioning; printed as a line, never as a traceback."""

from client.errors import EdgeError


class ProvisioningError(EdgeError):
    """A deployment could not be made, found or removed; the hint says what to do."""


class NoDeployment(ProvisioningError):
    """There is none of that name."""


class DeploymentBusy(ProvisioningError):
    """Another `provision` works on the same deployment."""


class LeftBehind(ProvisioningError):
    """Something could not be removed; the deployment's state is kept, so that `down` can be tried again."""


def nothing_there(name: str) -> ProvisioningError:
    """Says that nothing of a deployment is there, which was cut off or was removed by somebody."""
    return ProvisioningError(f"nothing is there of {name}", hint=f"`provision repair {name}` makes it")

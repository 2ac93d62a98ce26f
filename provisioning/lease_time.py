"""How long a deployment's place is ours, told to the agent that runs there."""

from client.errors import EdgeError
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from provisioning.deployments import Deployment
from provisioning.provider import Leased, Report
from provisioning.providers import provider_of


def left_s(deployment: Deployment) -> float | None:
    """Seconds until a deployment's place is taken away, None where it is not; raises ProvisioningError."""
    provider = provider_of(deployment.provider)
    return provider.left_s(deployment) if isinstance(provider, Leased) else None


def tell_agent(host: Host, deployment: Deployment, report: Report) -> None:
    """Tell an agent when its place is taken away, so that it begins nothing that cannot be done until then."""
    try:
        ends_in_s = left_s(deployment)
        if ends_in_s is not None:
            with EdgeClient(host) as client:
                client.set_lease(ends_in_s)
    except EdgeError as error:
        report(f"{host.name} could not be told when its lease ends: {error}")

"""Waiting until an agent that was started answers from here."""

import contextlib
import time
from collections.abc import Callable

from client.errors import EdgeError, NotTrusted, Unreachable
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from provisioning.deployments import Deployment
from provisioning.errors import ProvisioningError
from provisioning.provider import TUNNEL_OPTION
from provisioning.providers import package_of

READY_TIMEOUT_S = 60.0
POLL_INTERVAL_S = 0.05


def wait_until_ready(deployment: Deployment, find: Callable[[], Host]) -> Host:
    """The host of a deployment once it can classify; `find` reads it from the place. Raises ProvisioningError."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    host = find()
    while True:
        try:
            with EdgeClient(host, timeout_s=5.0, retries=0) as client:
                client.ready()
                return host
        except EdgeError as error:
            if time.monotonic() > deadline:
                raise _too_late(deployment, error) from error
            if isinstance(error, NotTrusted):  # it was restarted since its certificate was read
                with contextlib.suppress(EdgeError):
                    host = find()
        time.sleep(POLL_INTERVAL_S)


def _too_late(deployment: Deployment, error: EdgeError) -> ProvisioningError:
    has_tunnels = any(option.name == TUNNEL_OPTION for option in package_of(deployment.provider).taken())
    hint = error.hint
    if isinstance(error, Unreachable) and has_tunnels and deployment.tunnel is None:
        hint = (
            f"if a firewall is in between: --{TUNNEL_OPTION} reaches it through SSH only; --port chooses an open port"
        )
    return ProvisioningError(f"{deployment.name} was not ready in time: {error}", hint=hint)

"""What container is asked for: its image, its program, its environment."""

import hashlib
from typing import Any

from provisioning.deployments import Deployment
from provisioning.errors import ProvisioningError
from provisioning.provider import agent_arguments
from provisioning.providers.chi import ssh as chi_ssh
from provisioning.variables import variables

STOCK_IMAGE = "python:3.11-slim-bookworm"
PORT = 8080
RUNTIME = "nvidia"
"""The one that means something to the site: it takes any other without a word, and the container has no GPU."""
PROFILES = {"camera": "pi_camera", "gpio": "pi_gpio"}
"""What a Raspberry Pi's profiles are called there; every other name is the site's own."""
FOLDER = "${EDGERUN_DATA:-/srv/edgerun}"
"""The agent's folder: as the image says, else where root may write in any image."""
START = f"""
d={FOLDER}
mkdir -p "$d"
until command -v server >/dev/null || [ -f "$d/installed" ]; do sleep 0.2; done
[ -f "$d/installed" ] && PATH="$d/venv/bin:$PATH" && export PATH
exec server --data "$d" "$@"
"""
"""The container's program: waits until there is an agent, and again after a restart has lost it."""


def container_spec(deployment: Deployment, device: str | None) -> dict[str, Any]:
    """What a container is made of, without its name and marks. Of the token it holds the SHA-256 alone."""
    options = deployment.options
    port = int(options.get("port") or PORT)
    token_hash = hashlib.sha256(deployment.token.encode()).hexdigest()
    environment = {**variables(options), "EDGERUN_TOKEN_SHA256": token_hash}
    if device:
        environment["EDGERUN_DEVICE_TYPE"] = device
    words = ["--port", str(port), *agent_arguments(options, without=("port",))]
    spec: dict[str, Any] = {
        "image": options.get("image") or STOCK_IMAGE,
        "entrypoint": ["sh", "-c"],  # `command` alone would become arguments of the image's own entrypoint
        "command": [START, "sh", *words],
        "environment": environment,
        "exposed_ports": {str(each): {} for each in (port, *(chi_ssh.PORTS if "ssh-key" in options else ()))},
    }
    if profiles := options.get("device-profile"):
        spec["device_profiles"] = [PROFILES.get(each, each) for each in profiles]
    if runtime := options.get("runtime"):
        if runtime != RUNTIME:
            raise ProvisioningError(f"CHI@Edge knows no runtime {runtime}", hint=f"there is {RUNTIME}, for Jetsons")
        spec["runtime"] = runtime
    return spec

"""What container is asked for: locked down, with the variables, the runtime and the devices that `up` was given."""

import hashlib
import socket
from typing import Any

from provisioning.deployments import Deployment
from provisioning.provider import agent_arguments
from provisioning.providers.docker.devices import Devices
from provisioning.providers.docker.engine import DockerEngine
from provisioning.variables import variables

LABEL = "edgerun.deployment"
USER = 10001
"""The image's own user, as its Dockerfile says."""
DATA = "/data"
INNER_PORT = 8080
EMULATED: dict[str, dict[str, str]] = {"linux/arm64": {"QEMU_CPU": "cortex-a72"}}
"""A Raspberry Pi 4's. On qemu's own, which has every extension there is, XNNPACK answers wrong for int8 models."""
OF_RUNTIME = {"nvidia": {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "all"}}
"""Without which that runtime does as runc does."""
CONFINED: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "mem_limit": "2g",
    "pids_limit": 256,
    "user": f"{USER}:{USER}",
}
HARDENED: dict[str, Any] = {
    **CONFINED,
    "tmpfs": {"/tmp": "size=64m,mode=1777,noexec,nosuid,nodev"},
    "init": True,
    "restart_policy": {"Name": "unless-stopped"},
}
"""What docker-compose.yml says too."""


def container_name(deployment: Deployment) -> str:
    """The name of a deployment's container."""
    return f"edgerun-{deployment.name}"


def labels(deployment: Deployment) -> dict[str, str]:
    """What marks everything of a deployment."""
    return {LABEL: deployment.resources["id"], "edgerun.name": deployment.name}


def container_spec(engine: DockerEngine, deployment: Deployment, volume: str, devices: Devices) -> dict[str, Any]:
    """Arguments of the SDK's `create` beside the image, for an agent that listens on the port that is noted."""
    options, port = deployment.options, deployment.resources["port"]
    runtime = options.get("runtime")
    listen = "127.0.0.1" if engine.is_here else "0.0.0.0"
    command = ["server", *agent_arguments(options, without=["port"])]
    network: dict[str, Any] = {"ports": {f"{INNER_PORT}/tcp": (listen, port)}}
    if not engine.has_bridge:
        command += ["--host", listen, "--port", str(port)]
        network = {"network_mode": "host"}
    return {
        "command": command,
        "name": container_name(deployment),
        "labels": labels(deployment),
        "environment": {
            **(EMULATED.get(engine.platform or "", {}) if engine.emulates else {}),
            **OF_RUNTIME.get(runtime or "", {}),
            **variables(options),
            "EDGERUN_TOKEN_SHA256": hashlib.sha256(deployment.token.encode()).hexdigest(),
        },
        "volumes": [f"{volume}:{DATA}:rw", *options.get("volume", ())],
        "devices": [f"{path}:{path}:rw" for path in devices.paths],
        "group_add": list(devices.groups),
        "runtime": runtime,
        "platform": engine.platform,
        **network,
        **HARDENED,
    }


def free_port(engine: DockerEngine) -> int:
    """A port to publish: on this machine one that is free, elsewhere the usual one."""
    if not engine.is_here:
        return INNER_PORT
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])

"""Devices of the engine's host for a container: `--device-profile`, found by a look from a container there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.errors import ProvisioningError
from provisioning.provider import Report
from provisioning.providers.docker.engine import DockerEngine

PROFILES = {
    "camera": ("/dev/video*", "/dev/media*"),
    "gpio": ("/dev/gpiochip*", "/dev/gpiomem*"),
    "vcio": ("/dev/vcio",),
}
"""What each gives the container, of what is there; something that matches the first must be."""
HOST = "/host"
LOOK = f'for at in "$@"; do for f in {HOST}$at; do [ -c "$f" ] && stat -c "$at %n %g %a" "$f"; done; done; true'
GROUP_MAY = 0o060
ALL_MAY = 0o006


@dataclass(frozen=True)
class Devices:
    """Devices that a container gets, and the groups that may use them."""

    paths: Sequence[str] = ()
    groups: Sequence[int] = ()


def require_known(profiles: Sequence[str]) -> None:
    """Raise ProvisioningError for a profile that says nothing to us."""
    for profile in profiles:
        if profile not in PROFILES:
            hint = f"there are {', '.join(PROFILES)}; for anything else use a compose file, as docs/devices.md shows"
            raise ProvisioningError(f"--device-profile {profile} is not known for Docker", hint=hint)


def find_devices(
    engine: DockerEngine, image: str, profiles: Sequence[str], container: Mapping[str, Any], report: Report
) -> Devices:
    """What is there of the profiles' devices; raises ProvisioningError for a profile of which there is nothing."""
    if not profiles:
        return Devices()
    patterns = [pattern for profile in profiles for pattern in PROFILES[profile]]
    said = engine.client.containers.run(
        image,
        patterns,
        entrypoint=["sh", "-c", LOOK, "sh"],
        volumes=[f"/dev:{HOST}/dev:ro"],
        network_mode="none",
        platform=engine.platform,
        remove=True,
        **container,
    )
    found = [line.split() for line in said.decode().splitlines()]
    there = {pattern for pattern, *_ in found}
    for profile in profiles:
        if PROFILES[profile][0] not in there:
            hint = "is it attached, and its driver loaded? `ls /dev` on the engine's host shows what is there"
            raise ProvisioningError(f"the engine's host has no {PROFILES[profile][0]}", hint=hint)
    groups = set()
    for _, path, group, mode in found:
        bits = int(mode, 8)
        if bits & ALL_MAY == ALL_MAY:
            continue
        if bits & GROUP_MAY == GROUP_MAY and int(group):
            groups.add(int(group))
        else:
            report(f"{path.removeprefix(HOST)} is there, but only root may use it, and the agent is not root")
    return Devices(sorted({path.removeprefix(HOST) for _, path, *_ in found}), sorted(groups))

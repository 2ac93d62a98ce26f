"""What Blazar keeps: devices, and leases that reserve them for a time; who may have which when."""

import itertools
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

DEVICES = {
    **{f"iot-rpi4-0{number}": "raspberrypi4-64" for number in (1, 2, 3, 4)},
    "iot-rpi5-01": "raspberrypi5",
    "iot-nano-01": "jetson-nano",
}
"""Names of the site's devices, and their kinds."""
ALIVE = ("CREATING", "PENDING", "STARTING", "ACTIVE", "UPDATING", "TERMINATING")


@dataclass
class Reserved:
    """One reservation of a lease, and the devices that were allocated to it."""

    kind: str
    properties: str = '["==", "$machine_name", "raspberrypi4-64"]'
    least: int = 1
    most: int = 1
    devices: list[str] = field(default_factory=list)


@dataclass
class Lease:
    """Time on devices; reservations by their ids."""

    name: str
    status: str
    start: datetime
    end: datetime
    reservations: dict[str, Reserved]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    starts_after: float = 0.0
    """Reading of the monotonic clock before which it does not start: Blazar looks at its events now and then."""
    starting_until: float | None = None

    def tick(self, now: datetime, starting_s: float) -> bool:
        """Let it start and end; whether it ended just now."""
        moment = time.monotonic()
        if self.status == "PENDING" and self.start <= now and moment >= self.starts_after:
            self.status, self.starting_until = ("STARTING", moment + starting_s) if starting_s else ("ACTIVE", None)
        elif self.status == "STARTING" and self.starting_until is not None and moment >= self.starting_until:
            self.status = "ACTIVE"
        if self.status == "ACTIVE" and self.end <= now:
            self.status = "TERMINATED"
            return True
        return False

    @property
    def devices(self) -> list[str]:
        """What is allocated to it."""
        return list(itertools.chain.from_iterable(each.devices for each in self.reservations.values()))


def matching(requirements: Sequence[tuple[str, str]]) -> list[str]:
    """The devices for which every property has the value."""
    every = [{"name": name, "machine_name": kind} for name, kind in DEVICES.items()]
    return [each["name"] for each in every if all(each.get(key) == value for key, value in requirements)]


def free(names: Iterable[str], leases: Iterable[Lease], start: datetime, end: datetime) -> list[str]:
    """Those of the devices that no lease has at any moment of a time."""
    busy = {
        name for lease in leases if lease.status in ALIVE and lease.start < end and start < lease.end
        for name in lease.devices
    }  # fmt: skip
    return [name for name in names if name not in busy]

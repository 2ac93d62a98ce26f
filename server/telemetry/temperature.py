"""Temperatures: every thermal zone and hwmon sensor, and which of them stands for the CPU.

Both trees are read: a board with one odd hwmon chip must not hide its thermal zones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.telemetry import CPU_TEMPERATURE, CPU_TRIP
from server.telemetry.series import MILLI, Group, Reading, Tree, absent, constant, gauge

OFFLINE_CELSIUS = -250.0
"""Readings at or below this are none: a Jetson's zone whose part is powered off says -256."""
FAKE_ZONE = "pmic"
"""Jetson zones of this name say 100 degrees for ever."""
CPU_SENSORS = (
    *("cpu-thermal", "cpu_thermal", "cpu-therm", "coretemp package", "k10temp tctl", "soc_thermal"),
    *("soc-thermal", "x86_pkg_temp", "k10temp tdie"),
)
"""Sensors that stand for the CPU: the first of these that a sensor's name begins with, in lower case."""
GPU_SENSORS = ("gpu-therm", "gpu-thermal", "gpu_thermal", "amdgpu edge")
PI_LIMIT_CELSIUS = 80.0
"""Where the firmware of a Raspberry Pi begins to slow the CPU down; no trip point of its zone says so.
Source: Raspberry Pi documentation, "frequency management and thermal control"."""
THROTTLED_FILES = ("sys/devices/platform/soc*/soc*:firmware/get_throttled", "sys/devices/platform/soc*/get_throttled")


@dataclass(frozen=True)
class Sensor:
    """A temperature sensor: what it is called, its value in millidegrees, and its own file for a limit."""

    name: str
    path: Path
    labels: dict[str, str]
    limits: tuple[Path, ...]
    """Files with the temperature at which the hardware slows down, the lowest counts."""


def discover(tree: Tree) -> list[Group]:
    """All sensors, the CPU's, and where it begins to throttle. The GPU's own is in gpu.py."""
    found = sensors(tree)
    cpu = gauge(CPU_TEMPERATURE, "celsius", "")
    if not found:
        reason = "no thermal zone and no hwmon temperature under /sys/class"
        trip = gauge(CPU_TRIP, "celsius", "")
        return [absent(reason, gauge("temperature_celsius", "celsius", ""), cpu, trip)]
    details = [celsius(tree, sensor, "temperature_celsius", sensor.labels) for sensor in found]
    chosen = choose(tree, found, CPU_SENSORS)
    if chosen is None:
        names = ", ".join(sensor.name for sensor in found)
        return [
            *details,
            absent(f"no sensor that is known as the CPU's can be read; there are {names}", cpu),
            _trip(tree, None),
        ]
    return [*details, celsius(tree, chosen, cpu.metric), _trip(tree, chosen)]


def sensors(tree: Tree) -> list[Sensor]:
    """Every sensor with a value, also one that is offline just now."""
    return [*_zones(tree), *_chips(tree)]


def choose(tree: Tree, found: Sequence[Sensor], names: Sequence[str]) -> Sensor | None:
    """The first sensor in the order of names that can be read."""
    for name in names:
        for sensor in found:
            if sensor.name.lower().startswith(name) and _online(tree.number(sensor.path)):
                return sensor
    return None


def celsius(tree: Tree, sensor: Sensor, metric: str, labels: dict[str, str] | None = None) -> Group:
    """A sensor as a series; None while it is offline."""
    opened = tree.file(sensor.path)

    def read() -> list[Reading]:
        millidegrees = opened.number()
        return [millidegrees * MILLI if _online(millidegrees) else None]

    return Group([gauge(metric, "celsius", f"{tree.shown(sensor.path)} ({sensor.name})", labels)], read)


def _online(millidegrees: float | None) -> bool:
    return millidegrees is not None and millidegrees * MILLI > OFFLINE_CELSIUS


def _zones(tree: Tree) -> Iterator[Sensor]:
    for zone in tree.paths("sys/class/thermal/thermal_zone*"):
        name = tree.text(zone / "type")
        if name and not name.lower().startswith(FAKE_ZONE) and (zone / "temp").exists():
            trips = tree.paths(f"{zone.relative_to(tree.root)}/trip_point_*_type")
            passive = [path for path in trips if tree.text(path) == "passive"]
            limits = tuple(path.with_name(path.name.replace("_type", "_temp")) for path in passive)
            yield Sensor(name, zone / "temp", {"sensor": name, "zone": zone.name}, limits)


def _chips(tree: Tree) -> Iterator[Sensor]:
    for path in tree.paths("sys/class/hwmon/hwmon*/temp*_input"):
        chip, stem = path.parent, path.name.removesuffix("_input")
        label = tree.text(chip / f"{stem}_label")
        name = " ".join(filter(None, (tree.text(chip / "name") or chip.name, label)))
        # Of an Intel CPU, crit is where it slows itself down; elsewhere it may be where the board switches off.
        limits = (chip / f"{stem}_crit",) if name.startswith("coretemp") else ()
        yield Sensor(name, path, {"sensor": name, "zone": f"{chip.name}/{stem}"}, limits)


def _trip(tree: Tree, cpu: Sensor | None) -> Group:
    """Where the CPU begins to be slowed down: its zone's first passive trip, or what is known of its kind."""
    metric, unit = CPU_TRIP, "celsius"
    limits = [(tree.number(path) or 0.0, path) for path in (cpu.limits if cpu else ())]
    if known := [limit for limit in limits if limit[0] > 0]:
        millidegrees, path = min(known)
        return constant(gauge(metric, unit, tree.shown(path)), millidegrees * MILLI)
    if cpu and any(tree.paths(pattern) for pattern in THROTTLED_FILES):
        return constant(gauge(metric, unit, "Raspberry Pi documentation"), PI_LIMIT_CELSIUS)
    return absent("no passive trip point is known for the CPU's sensor", gauge(metric, unit, ""))

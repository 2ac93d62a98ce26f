"""Signs that the hardware holds itself back: a Pi's flags, under-voltage, passive cooling, Intel's counters."""

from pathlib import Path

from server.telemetry.series import Group, Reading, Tree, absent, counter, gauge, single
from server.telemetry.temperature import THROTTLED_FILES

PI_FLAGS = ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit")
"""Bits 0 to 3 hold now; bits 16 to 19 say that it has happened since boot."""
STICKY_SHIFT = 16
NO_COOLING = ("fan", "lcd", "tcc offset")
"""Kinds of cooling devices that do not slow anything down, in lower case."""


def discover(tree: Tree) -> list[Group]:
    """All four families of signs; NVIDIA's are with NVML."""
    return [_pi_flags(tree), _under_voltage(tree), *_cooling(tree), *_intel(tree)]


def _pi_flags(tree: Tree) -> Group:
    path = next((path for pattern in THROTTLED_FILES for path in tree.paths(pattern)), None)
    source = tree.shown(path) if path else ""
    infos = [gauge("throttle_active", "1", source, {"reason": flag}) for flag in PI_FLAGS]
    infos += [gauge("throttle_since_boot", "1", source, {"reason": flag}) for flag in PI_FLAGS]
    if path is None:
        lone = (gauge("throttle_active", "1", ""), gauge("throttle_since_boot", "1", ""))
        return absent("no get_throttled file of a Raspberry Pi here", *lone)
    opened = tree.file(path)

    def read() -> list[Reading]:
        bits = int(opened.read(), 16)
        live = [float(bits >> bit & 1) for bit in range(len(PI_FLAGS))]
        return [*live, *(float(bits >> bit + STICKY_SHIFT & 1) for bit in range(len(PI_FLAGS)))]

    return Group(infos, read)


def _under_voltage(tree: Tree) -> Group:
    for path in tree.paths("sys/class/hwmon/hwmon*/in0_lcrit_alarm"):
        if tree.text(path.with_name("name")) == "rpi_volt":
            return single(tree, path, gauge("under_voltage_alarm", "1", tree.shown(path)))
    return absent("no rpi_volt alarm here", gauge("under_voltage_alarm", "1", ""))


def _cooling(tree: Tree) -> list[Group]:
    """How far each device that cools by slowing down has gone; -1 is a device that does nothing."""
    metric, groups = "cooling_state", []
    for folder in tree.paths("sys/class/thermal/cooling_device*"):
        kind = tree.text(folder / "type") or "unknown"
        if (folder / "cur_state").exists() and not any(word in kind.lower() for word in NO_COOLING):
            labels = {"device": folder.name, "kind": kind}
            groups.append(_state(tree, folder / "cur_state", labels))
    return groups or [absent("no cooling device but fans", gauge(metric, "1", ""))]


def _state(tree: Tree, path: Path, labels: dict[str, str]) -> Group:
    opened = tree.file(path)
    info = gauge("cooling_state", "1", tree.shown(path), labels)
    return Group([info], lambda: [max(0.0, opened.number())])


def _intel(tree: Tree) -> list[Group]:
    """How often each package of an Intel CPU slowed down; new container engines mask these files."""
    metric, groups, seen = "cpu_throttle_events_total", [], set()
    for path in tree.paths("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/package_throttle_count"):
        package = tree.text(path.parents[1] / "topology/physical_package_id") or "0"
        if package not in seen and tree.number(path) is not None:
            seen.add(package)
            groups.append(single(tree, path, counter(metric, "1", tree.shown(path), {"package": package})))
    return groups or [absent("no thermal_throttle counters here", counter(metric, "1", ""))]

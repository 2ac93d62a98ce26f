"""Power and energy where they are measured, never an estimate.

A Jetson's INA3221 chips name their rails; iio shows them on JetPack 4, hwmon from 5 on. RAPL counts an x86
package's energy, readable by root only since Linux 5.10 and masked in containers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.telemetry.series import (
    MICRO,
    MILLI,
    READ_ERRORS,
    Group,
    Reading,
    SystemFile,
    Tree,
    absent,
    counter,
    gauge,
    single,
)

TOTAL_RAILS = ("POM_5V_IN", "VDD_IN")
"""Rails that feed the whole module; where there is none of them the rails add up to it."""
NOT_A_RAIL = "sum of shunt voltages"


@dataclass(frozen=True)
class _Rail:
    name: str
    source: str
    watts: Callable[[], float]


def discover(tree: Tree) -> list[Group]:
    """Every rail, the total, and RAPL's counters."""
    rails = [*_iio_rails(tree), *_hwmon_rails(tree)]
    groups = [_rails(rails)] if rails else []
    groups += _other_chips(tree)
    if not groups:
        groups = [absent("no power sensor (INA3221, hwmon) on this machine", gauge("power_watts", "watts", ""))]
    if not rails:
        reason = "no sensor measures the power of the whole device"
        groups.append(absent(reason, gauge("power_total_watts", "watts", "")))
    return [*groups, *_rapl(tree)]


def _rails(rails: list[_Rail]) -> Group:
    whole = next((at for name in TOTAL_RAILS for at, rail in enumerate(rails) if rail.name == name), None)
    source = "sum of the rails" if whole is None else f"rail {rails[whole].name}"
    infos = [gauge("power_watts", "watts", rail.source, {"rail": rail.name}) for rail in rails]

    def read() -> list[Reading]:
        watts = [_watts(rail) for rail in rails]
        known = [value for value in watts if value is not None]
        total = sum(known) if len(known) == len(watts) else None
        return [*watts, total if whole is None else watts[whole]]

    return Group([*infos, gauge("power_total_watts", "watts", source)], read)


def _watts(rail: _Rail) -> Reading:
    try:
        return rail.watts()
    except READ_ERRORS:
        return None


def _iio_rails(tree: Tree) -> list[_Rail]:
    rails = []
    for path in tree.paths("sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*"):
        number, name = path.name.rpartition("_")[2], tree.text(path)
        power = path.with_name(f"in_power{number}_input")
        if name and tree.number(power) is not None:
            opened = tree.file(power)
            rails.append(_Rail(name, tree.shown(power), lambda opened=opened: opened.number() * MILLI))  # type: ignore[misc]
    return rails


def _hwmon_rails(tree: Tree) -> list[_Rail]:
    rails = []
    for path in tree.paths("sys/class/hwmon/hwmon*/in*_label"):
        name, stem = tree.text(path), path.name.removesuffix("_label")
        volts, amperes = path.with_name(f"{stem}_input"), path.with_name(f"{stem.replace('in', 'curr')}_input")
        usable = tree.number(volts) is not None and tree.number(amperes) is not None
        if name and name != NOT_A_RAIL and tree.text(path.with_name("name")) == "ina3221" and usable:
            rails.append(_Rail(name, f"{tree.shown(volts)} x {amperes.name}", _product(tree, volts, amperes)))
    return rails


def _product(tree: Tree, volts: Path, amperes: Path) -> Callable[[], float]:
    voltage, current = tree.file(volts), tree.file(amperes)
    return lambda: voltage.number() * MILLI * (current.number() * MILLI)


def _other_chips(tree: Tree) -> list[Group]:
    """Chips that give microwatts at once: amdgpu's package, power supplies, meters."""
    groups, seen = [], set()
    for path in tree.paths("sys/class/hwmon/hwmon*/power*_*"):
        stem, _, kind = path.name.rpartition("_")
        chip = tree.text(path.with_name("name")) or path.parent.name
        if kind not in ("input", "average") or chip == "ina3221" or (path.parent, stem) in seen:
            continue
        seen.add((path.parent, stem))
        rail = " ".join(filter(None, (chip, tree.text(path.with_name(f"{stem}_label")))))
        labels = {"rail": rail, "chip": f"{path.parent.name}/{stem}"}
        groups.append(single(tree, path, gauge("power_watts", "watts", tree.shown(path), labels), MICRO))
    return groups


class _Energy:
    """RAPL's counter, which begins anew every few minutes to hours."""

    def __init__(self, opened: SystemFile, range_joules: float) -> None:
        self._file = opened
        self._range = range_joules
        self._before = 0.0
        self._rounds = 0

    def read(self) -> list[Reading]:
        joules = self._file.number() * MICRO
        if joules < self._before:
            self._rounds += 1
        self._before = joules
        return [joules + self._rounds * self._range]


def _rapl(tree: Tree) -> list[Group]:
    metric, groups = "energy_joules_total", []
    zones = tree.paths("sys/class/powercap/intel-rapl*:*/energy_uj")
    for path in zones:
        most, name = tree.number(path.with_name("max_energy_range_uj")), tree.text(path.with_name("name"))
        if most is not None and tree.number(path) is not None:
            labels = {"domain": name or path.parent.name, "zone": path.parent.name}
            info = counter(metric, "joules", tree.shown(path), labels)
            groups.append(Group([info], _Energy(tree.file(path), most * MICRO).read))
    reason = "RAPL is there but only root may read it" if zones else "no energy counter (RAPL) here"
    return groups or [absent(reason, counter(metric, "joules", ""))]

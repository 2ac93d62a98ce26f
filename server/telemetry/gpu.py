"""GPUs: a Jetson's devfreq, amdgpu's files, NVIDIA's library where it is installed."""

from pathlib import Path

from contract.telemetry import SeriesInfo
from server.telemetry import nvml
from server.telemetry.series import Group, Tree, absent, gauge, single
from server.telemetry.temperature import GPU_SENSORS, Sensor, celsius, choose, sensors

PER_MILLE = 1e-3
PER_CENT = 1e-2
UNITS = {
    "gpu_temperature_celsius": "celsius",
    "gpu_utilization_ratio": "ratio",
    "gpu_frequency_hertz": "hertz",
    "gpu_memory_used_bytes": "bytes",
    "gpu_memory_total_bytes": "bytes",
    "gpu_throttle_active": "1",
}


def discover(tree: Tree) -> list[Group]:
    """All GPUs. One alone carries no label, several carry `gpu`; what none of them has is absent."""
    devices = _jetson(tree) or _amd(tree)
    groups = [group for device in devices for group in device]
    why_not = "pynvml is not asked in another folder than /"
    if tree.is_this_machine:
        of_library, why_not = nvml.discover()
        groups += of_library
    if not groups:
        groups = _temperature_alone(tree)
    there = {info.metric for group in groups for info in group.infos}
    known = (
        "this GPU's driver does not tell" if groups else f"no GPU sensor here: no devfreq load, no amdgpu, {why_not}"
    )
    missing = [gauge(metric, unit, "") for metric, unit in UNITS.items() if metric not in there]
    return [*groups, absent(known, *missing)] if missing else groups


def _temperature_alone(tree: Tree) -> list[Group]:
    sensor = choose(tree, sensors(tree), GPU_SENSORS)
    return [celsius(tree, sensor, "gpu_temperature_celsius")] if sensor else []


def _jetson(tree: Tree) -> list[list[Group]]:
    """The integrated GPU: load per mille and clock. Its memory is the machine's."""
    for load in tree.paths("sys/class/devfreq/*/device/load"):
        folder = load.parents[1]
        groups = [single(tree, load, _gauge(tree, "gpu_utilization_ratio", load, {}), PER_MILLE)]
        if (clock := folder / "cur_freq").exists():
            groups.append(single(tree, clock, _gauge(tree, "gpu_frequency_hertz", clock, {})))
        return [groups + _temperature_alone(tree)]
    return []


def _amd(tree: Tree) -> list[list[Group]]:
    cards = [path.parent for path in tree.paths("sys/class/drm/card*/device/gpu_busy_percent")]
    return [_card(tree, card, {} if len(cards) == 1 else {"gpu": str(at)}) for at, card in enumerate(cards)]


def _card(tree: Tree, device: Path, labels: dict[str, str]) -> list[Group]:
    files = [
        ("gpu_utilization_ratio", device / "gpu_busy_percent", PER_CENT),
        ("gpu_memory_used_bytes", device / "mem_info_vram_used", 1.0),
        ("gpu_memory_total_bytes", device / "mem_info_vram_total", 1.0),
    ]
    pattern = f"{device.relative_to(tree.root)}/hwmon/hwmon*"
    files += [("gpu_frequency_hertz", path, 1.0) for path in tree.paths(f"{pattern}/freq1_input")]
    groups = [single(tree, p, _gauge(tree, metric, p, labels), scale) for metric, p, scale in files if p.exists()]
    for path in tree.paths(f"{pattern}/temp1_input"):
        groups.append(celsius(tree, Sensor("amdgpu edge", path, {}, ()), "gpu_temperature_celsius", labels))
    return groups


def _gauge(tree: Tree, metric: str, path: Path, labels: dict[str, str]) -> SeriesInfo:
    return gauge(metric, UNITS[metric], tree.shown(path), labels)

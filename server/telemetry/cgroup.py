"""This process' own control group, in either version: CPU time, throttling by a quota, memory."""

from pathlib import Path

from contract.telemetry import SeriesInfo
from server.resources import control_groups
from server.telemetry.series import MICRO, Group, SystemFile, Tree, absent, counter, gauge, single

NANO = 1e-9


def discover(tree: Tree) -> list[Group]:
    """Use of the group itself; throttling of it and of all above it, since a parent's quota holds for its children."""
    return [_seconds(tree), _throttling(tree), _memory(tree)]


def _seconds(tree: Tree) -> Group:
    metric = "cgroup_cpu_seconds_total"
    for folder in control_groups(tree.root, "cpuacct"):
        if (path := folder / "cpuacct.usage").exists():
            return single(tree, path, counter(metric, "seconds", tree.shown(path)), NANO)
    for folder in control_groups(tree.root, "cpu"):
        if "usage_usec" in _stat(tree, path := folder / "cpu.stat"):
            return _usage(tree.file(path), counter(metric, "seconds", tree.shown(path)))
    return absent("no control group of this process counts CPU time", counter(metric, "seconds", ""))


def _usage(opened: SystemFile, info: SeriesInfo) -> Group:
    return Group([info], lambda: [_fields(opened)["usage_usec"] * MICRO])


def _throttling(tree: Tree) -> Group:
    paths = [
        path
        for folder in control_groups(tree.root, "cpu")
        if "nr_throttled" in _stat(tree, path := folder / "cpu.stat")
    ]
    source = ", ".join(tree.shown(path) for path in paths)
    infos = [
        counter("cgroup_cpu_throttled_periods_total", "1", source),
        counter("cgroup_cpu_throttled_seconds_total", "seconds", source),
    ]
    if not paths:
        return absent("no control group of this process has a CPU quota to count", *infos)
    files = [tree.file(path) for path in paths]

    def read() -> list[float]:
        stats = [_fields(opened) for opened in files]
        return [float(sum(stat["nr_throttled"] for stat in stats)), sum(map(_throttled_seconds, stats))]

    return Group(infos, read)


def _throttled_seconds(stat: dict[str, int]) -> float:
    """Version 2 counts microseconds, version 1 nanoseconds under another name."""
    return stat["throttled_usec"] * MICRO if "throttled_usec" in stat else stat["throttled_time"] * NANO


def _memory(tree: Tree) -> Group:
    for folder in control_groups(tree.root, "memory"):
        for name in ("memory.current", "memory.usage_in_bytes"):
            if tree.number(path := folder / name) is not None:
                return single(tree, path, gauge("cgroup_memory_bytes", "bytes", tree.shown(path)))
    return absent("no control group of this process counts memory", gauge("cgroup_memory_bytes", "bytes", ""))


def _stat(tree: Tree, path: Path) -> dict[str, int]:
    return _parsed(tree.text(path) or "")


def _fields(opened: SystemFile) -> dict[str, int]:
    return _parsed(opened.read().decode())


def _parsed(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}

"""CPU: use in total and of each core, clock, load. Of the whole machine, also in a container."""

import os

from contract.telemetry import SeriesInfo
from server.telemetry.series import Group, Reading, SystemFile, Tree, absent, counter, gauge

STAT = "proc/stat"
LOAD = "proc/loadavg"
KILO = 1e3
LINE_BYTES = 160
"""More than a line of /proc/stat about one core takes."""
BUSY_FIELDS = (0, 1, 2, 5, 6)
"""user, nice, system, irq, softirq: not idle, iowait, steal, and not guest, which user counts already."""
STEAL_FIELD = 7
TIME_FIELDS = 8
WINDOWS = ("1m", "5m", "15m")


def discover(tree: Tree) -> list[Group]:
    """Groups for /proc/stat, each clock, and /proc/loadavg."""
    return [_use(tree), *_clocks(tree), _load(tree)]


def ticks_per_second() -> int:
    """The unit of CPU times in /proc."""
    return os.sysconf("SC_CLK_TCK")


def times_of_lines(content: bytes) -> dict[str, list[int]]:
    """Times in /proc/stat by `cpu`, `cpu0`, ..., in ticks: user, nice, system, idle, iowait, irq, softirq, steal."""
    times: dict[str, list[int]] = {}
    for line in content.splitlines():
        if not line.startswith(b"cpu"):
            break
        name, *fields = line.split()
        # Kernels before 2.6.11 know no steal; the rest of what may be missing is as old.
        times[name.decode()] = ([int(field) for field in fields] + [0] * TIME_FIELDS)[:TIME_FIELDS]
    return times


def busy_ticks(times: list[int]) -> int:
    """Ticks in which this machine worked."""
    return sum(times[field] for field in BUSY_FIELDS)


class _Use:
    """Shares since the last read, and counters, from one read of /proc/stat."""

    def __init__(self, tree: Tree, cores: list[str]) -> None:
        self._file = tree.file(STAT, (len(cores) + 2) * LINE_BYTES)
        self._rows = ["cpu", *cores]
        self._before = times_of_lines(self._file.read())
        self._second = ticks_per_second()

    def read(self) -> list[Reading]:
        now, before = times_of_lines(self._file.read()), self._before
        self._before = now
        total = now["cpu"]
        shares = [_share(before.get(row), now.get(row)) for row in self._rows]
        return [*shares, busy_ticks(total) / self._second, total[STEAL_FIELD] / self._second]


def _share(before: list[int] | None, now: list[int] | None) -> Reading:
    """None for a core that is switched off, and where no tick has passed since the last read."""
    if before is None or now is None or (passed := sum(now) - sum(before)) <= 0:
        return None
    return min(1.0, max(0.0, (busy_ticks(now) - busy_ticks(before)) / passed))


def _use(tree: Tree) -> Group:
    source = f"/{STAT}"
    shares = [gauge("cpu_utilization_ratio", "ratio", source)]
    counters = [
        counter("cpu_busy_seconds_total", "seconds", source),
        counter("cpu_steal_seconds_total", "seconds", source),
    ]
    cores = [name for name in times_of_lines((tree.text(STAT) or "").encode()) if name != "cpu"]
    if not cores:
        return absent(f"{source} cannot be read", *shares, *counters)
    shares += [gauge("cpu_utilization_ratio", "ratio", source, {"cpu": core[3:]}) for core in cores]
    return Group([*shares, *counters], _Use(tree, cores).read)


def _clocks(tree: Tree) -> list[Group]:
    """One group a clock: cores that share one have one file between them."""
    metric, groups = "cpu_frequency_hertz", []
    cores_of: dict[str, list[str]] = {}
    for found in tree.paths("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"):
        cores_of.setdefault(str(found.resolve()), []).append(found.parents[1].name[3:])
    for cores in cores_of.values():
        path = f"sys/devices/system/cpu/cpu{cores[0]}/cpufreq/scaling_cur_freq"
        infos = [gauge(metric, "hertz", f"/{path}", {"cpu": core}) for core in cores]
        groups.append(_clock(tree.file(path), infos))
    return groups or [absent("no cpufreq under /sys/devices/system/cpu", gauge(metric, "hertz", ""))]


def _clock(opened: SystemFile, infos: list[SeriesInfo]) -> Group:
    return Group(infos, lambda: [opened.number() * KILO] * len(infos))


def _load(tree: Tree) -> Group:
    infos: list[SeriesInfo] = [gauge("cpu_load_average", "1", f"/{LOAD}", {"window": window}) for window in WINDOWS]
    if tree.text(LOAD) is None:
        return absent(f"/{LOAD} cannot be read", *infos)
    opened = tree.file(LOAD)
    return Group(infos, lambda: [float(field) for field in opened.read().split()[: len(WINDOWS)]])

"""All sensors of this machine as one list of series.

They are looked for once; after that a reading touches kept-open files only. What is not there keeps one series of
None and a reason, so that a reader can tell "no sensor" from "nothing happened".
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from contract.telemetry import SeriesInfo
from server.telemetry import cgroup, cpu, disk, gpu, job, memory, network, power, pressure, temperature, throttle
from server.telemetry.series import READ_ERRORS, Group, Reading, Tree, absent, key_of
from server.telemetry.slow import SLOW_S, SlowGroup

FAMILIES: tuple[Callable[[Tree], list[Group]], ...] = (
    *(cpu.discover, temperature.discover, throttle.discover, memory.discover, gpu.discover, power.discover),
    *(disk.discover, network.discover, pressure.discover, cgroup.discover),
)


class Sensors:
    """The sensors under a root, read by one thread at a time.

    `info` describes the series in the order of `read`'s values, by the key Prometheus writes; `unavailable` says by
    metric why a series never has a value.
    """

    def __init__(self, root: Path = Path("/"), process_group: int | None = None) -> None:
        self._tree = Tree(root)
        groups = [group for family in FAMILIES for group in family(self._tree)]
        of_job, self._processes = job.discover(self._tree, process_group)
        self._slow: list[SlowGroup] = []
        self._groups = [*(self._in_thread_when_slow(group) for group in _without_contradiction(groups)), *of_job]
        self.info: dict[str, SeriesInfo] = {}
        self.unavailable: dict[str, str] = {}
        for group in self._groups:
            for info in group.infos:
                info = self._with_distinct_labels(info)
                self.info[key_of(info)] = info
                if group.reason is not None:
                    self.unavailable[info.metric] = group.reason

    def read(self) -> list[float | None]:
        """One value a series, in the order of `info`; None for what cannot be read just now."""
        values: list[float | None] = []
        for group in self._groups:
            values.extend(_read(group))
        return values

    def close(self) -> None:
        """Close every file. A closed `Sensors` is not to be read again."""
        for group in self._slow:
            group.close()
        if self._processes is not None:
            self._processes.close()
        self._tree.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def _in_thread_when_slow(self, group: Group) -> Group:
        """The group itself, or, where one reading takes too long for the beat, one that is read apart."""
        if group.reason is not None:
            return group
        _read(group)  # the first opens the files
        began = time.perf_counter()
        first = _read(group)
        if time.perf_counter() - began < SLOW_S:
            return group
        slow = SlowGroup(group, lambda: _read(group), first)
        self._slow.append(slow)
        return slow.group

    def _with_distinct_labels(self, info: SeriesInfo) -> SeriesInfo:
        """Tell two sensors apart that name themselves alike."""
        number, named = 1, info
        while key_of(named) in self.info:
            number += 1
            named = info.model_copy(update={"labels": {**info.labels, "number": str(number)}})
        return named


def _without_contradiction(groups: list[Group]) -> list[Group]:
    """What one family has not, another may have: a board without a power chip, but with a GPU that tells its own."""
    there = {info.metric for group in groups if group.reason is None for info in group.infos}
    kept = []
    for group in groups:
        if group.reason is not None:
            group = absent(group.reason, *(info for info in group.infos if info.metric not in there))
        if group.infos:
            kept.append(group)
    return kept


def _read(group: Group) -> list[Reading]:
    try:
        values = list(group.read())
    except READ_ERRORS:
        values = []
    return values if len(values) == len(group.infos) else [None] * len(group.infos)

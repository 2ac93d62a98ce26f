"""The processes of a job, and what everything else on the machine did meanwhile.

A job is a process group or a session: all whose group or session id equals the id given.
"""

import os
import time
from dataclasses import dataclass

from server.telemetry.cpu import STAT, busy_ticks, ticks_per_second, times_of_lines
from server.telemetry.series import READ_ERRORS, Group, Reading, SystemFile, Tree, absent, counter, gauge

SCAN_INTERVAL_S = 1.0
"""Longest time for which a new process of a job is not seen."""
SCANS_UNTIL_SETTLED = 3
"""A process that was not the job's in so many scans is looked at again only after RECHECK_SCANS: until it calls
setsid, a new child still carries its parent's ids."""
RECHECK_SCANS = 30
PARENT, GROUP, SESSION, TIMES, RESIDENT = 1, 2, 3, slice(11, 15), 21
"""Fields of /proc/PID/stat after the command's name. The times are user, system, and both of waited-for children."""
TOTAL_LINE_BYTES = 320


@dataclass
class _Member:
    """A process of the job."""

    file: SystemFile
    parent: int = 0
    ticks: int = 0
    """Its own and its waited-for children's, when last read."""
    resident_bytes: int = 0


class Processes:
    """CPU time and memory of a process group. Its processes' files stay open while they live."""

    def __init__(self, tree: Tree, process_group: int) -> None:
        self._tree = tree
        self._group = process_group
        self._members: dict[int, _Member] = {}
        self._others: dict[int, int] = {}
        """Scans in which a process was seen that is not the job's."""
        self._led = False
        self._ended_ticks = 0
        self._seconds = 0.0
        self._scanned_at = -SCAN_INTERVAL_S
        self._tick_s = 1 / ticks_per_second()
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")

    def read(self) -> list[Reading]:
        """CPU seconds of the job so far, and the resident memory of its living processes."""
        if (now := time.monotonic()) - self._scanned_at >= SCAN_INTERVAL_S:
            self._scanned_at = now
            self._scan()
        self._bury({pid: member for pid, member in self._members.items() if not self._updated(member)})
        ticks = self._ended_ticks + sum(member.ticks for member in self._members.values())
        # Between a child's end and its parent's next reading its time is nowhere to be seen: a counter stands still.
        self._seconds = max(self._seconds, ticks * self._tick_s)
        return [self._seconds, float(sum(member.resident_bytes for member in self._members.values()))]

    @property
    def ended(self) -> bool:
        """Whether the process that leads the group is gone. What it used after the last reading is not known."""
        return self._led and self._group not in self._members

    def close(self) -> None:
        """Close the files."""
        for member in self._members.values():
            member.file.close()

    def _scan(self) -> None:
        pids = {int(name) for name in os.listdir(self._tree.root / "proc") if name.isdecimal()}  # noqa: PTH208
        self._others = {pid: seen for pid, seen in self._others.items() if pid in pids}
        for pid in pids - self._members.keys():
            seen = self._others.get(pid, 0)
            self._others[pid] = 0 if seen >= RECHECK_SCANS else seen + 1
            if seen < SCANS_UNTIL_SETTLED or seen >= RECHECK_SCANS:
                self._look_at(pid)

    def _look_at(self, pid: int) -> None:
        opened = SystemFile(self._tree.root / f"proc/{pid}/stat")
        try:
            fields = _fields(opened)
            if self._group in (int(fields[GROUP]), int(fields[SESSION])):
                self._members[pid] = _Member(opened)
                self._led = self._led or pid == self._group
                self._others.pop(pid, None)
                return
        except READ_ERRORS:
            pass
        opened.close()

    def _updated(self, member: _Member) -> bool:
        """Read a process; False when it is gone."""
        try:
            fields = _fields(member.file)
            member.parent = int(fields[PARENT])
            member.ticks = sum(map(int, fields[TIMES]))
            member.resident_bytes = int(fields[RESIDENT]) * self._page_bytes
        except READ_ERRORS:
            return False
        return True

    def _bury(self, gone: dict[int, _Member]) -> None:
        """Keep the time of processes that ended, unless a living one above them waited and so counts it."""
        for pid, member in gone.items():
            del self._members[pid]
            member.file.close()
        for member in gone.values():
            above = member.parent
            for _ in gone:  # no chain is longer
                above = gone[above].parent if above in gone else above
            if above not in self._members:
                self._ended_ticks += member.ticks


def _fields(opened: SystemFile) -> list[bytes]:
    """The fields after the command's name, which may itself hold blanks and brackets."""
    return opened.read().rpartition(b")")[2].split()


class _Usage:
    """The job's use, and the machine's without the job's and without this process' own."""

    def __init__(self, tree: Tree, processes: Processes) -> None:
        self._processes = processes
        self._stat = tree.file(STAT, TOTAL_LINE_BYTES)
        self._tick_s = 1 / ticks_per_second()
        self._others_s = 0.0

    def read(self) -> list[Reading]:
        seconds, resident = self._processes.read()
        if self._processes.ended:  # its last moments would be charged to others
            return [seconds, resident, None]
        try:
            first_line = self._stat.read().split(b"\n", 1)[0]
            busy_s = busy_ticks(times_of_lines(first_line)["cpu"]) * self._tick_s
        except READ_ERRORS:
            return [seconds, resident, None]
        # The three clocks tick apart by some hundredths of a second: a counter does not go back for that.
        self._others_s = max(self._others_s, busy_s - (seconds or 0.0) - time.process_time())
        return [seconds, resident, self._others_s]


def discover(tree: Tree, process_group: int | None) -> tuple[list[Group], Processes | None]:
    """The job's group, and its processes, which are to be closed; no series has values without a process group."""
    source = "/proc/*/stat"
    infos = [
        counter("job_cpu_seconds_total", "seconds", source),
        gauge("job_memory_bytes", "bytes", source),
        counter("other_cpu_seconds_total", "seconds", f"/{STAT} - {source} - own"),
    ]
    if process_group is None:
        return [absent("no job was running", *infos)], None
    if tree.text(STAT) is None:
        return [absent(f"/{STAT} cannot be read", *infos)], None
    processes = Processes(tree, process_group)
    return [Group(infos, _Usage(tree, processes).read)], processes

"""The processes of this machine as a tree, and how a part of it is ended that defends itself.

Light enough for the job's own process, which ends what its program left running.
"""

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

KILL_WAIT_S = 20.0
POLL_S = 0.02
GONE = "ZX"
"""States of processes that have ended, and wait for their parent to notice."""


@dataclass(frozen=True)
class ProcessEntry:
    """A process as /proc/PID/stat has it."""

    pid: int
    state: str
    parent: int
    session: int
    threads: int
    started_ticks: int
    """When it was started; with the id it tells a process from a later one of the same id."""

    @property
    def lives(self) -> bool:
        """Whether it can still do something."""
        return self.state not in GONE

    def environment(self) -> bytes | None:
        """Variables it was started with, None where they may not be read; empty when it is gone."""
        try:
            return Path(f"/proc/{self.pid}/environ").read_bytes()
        except PermissionError:
            return None
        except OSError:
            return b""

    def user(self) -> int | None:
        """Id of the user that it runs as, None when it is gone."""
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{self.pid}/status").read_text(errors="replace").splitlines()
            return int(next(line for line in lines if line.startswith("Uid:")).split()[1])
        return None


Table = Mapping[int, ProcessEntry]


def entry_of(pid: int) -> ProcessEntry:
    """A process as it is now; raises OSError when it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return ProcessEntry(pid, fields[0], int(fields[1]), int(fields[3]), int(fields[17]), int(fields[19]))


def snapshot() -> dict[int, ProcessEntry]:
    """All processes."""
    table = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal():
            with contextlib.suppress(OSError):
                table[int(name)] = entry_of(int(name))
    return table


def with_descendants(table: Table, roots: Collection[int]) -> set[int]:
    """Processes and everything below them."""
    children = defaultdict(list)
    for each in table.values():
        children[each.parent].append(each.pid)
    found: set[int] = set()
    ahead = list(roots)
    while ahead:
        pid = ahead.pop()
        if pid not in found:
            found.add(pid)
            ahead += children[pid]
    return found


def send(entry: ProcessEntry, number: signal.Signals) -> None:
    """Send a signal to a process, and to no later one that was given its id."""
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(entry.pid)
        try:
            if entry_of(entry.pid).started_ticks == entry.started_ticks:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def end_all_of(find: Callable[[], Collection[ProcessEntry]], wait_s: float = KILL_WAIT_S) -> bool:
    """Kill what `find` gives, until it gives nothing; False when something is left after `wait_s`.

    All of it is stopped first, round by round until nothing new turns up: processes that start others faster than
    they could be killed one by one stand still, and so take the places that the limit on their number leaves.
    """
    deadline = time.monotonic() + wait_s
    while found := find():
        stopped: set[tuple[int, int]] = set()
        while fresh := [each for each in found if (each.pid, each.started_ticks) not in stopped]:
            for each in fresh:
                send(each, signal.SIGSTOP)
                stopped.add((each.pid, each.started_ticks))
            found = find()
            if time.monotonic() > deadline:
                break
        for each in found:
            send(each, signal.SIGKILL)
        if time.monotonic() > deadline:
            return not find()
        time.sleep(POLL_S)
    return True


def end_descendants() -> int:
    """Kill everything below this process, and take note of its end; gives how many processes were killed."""
    killed: set[tuple[int, int]] = set()

    def find() -> list[ProcessEntry]:
        table = snapshot()
        below = with_descendants(table, [os.getpid()]) - {os.getpid()}
        found = [table[pid] for pid in below if pid in table and table[pid].lives]
        killed.update((each.pid, each.started_ticks) for each in found)
        return found

    end_all_of(find)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    return len(killed)

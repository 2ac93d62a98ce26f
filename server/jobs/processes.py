"""The processes of a job: started so that they can be found again, and ended all of them.

A job's process leads a session and adopts what its descendants leave behind (`PR_SET_CHILD_SUBREAPER`); what loses it
is adopted by the agent. So everything is found by walking down from the two, however it made itself independent. What
is left over from an agent that died is found by its control group, where it has one, and by `EDGERUN_JOB=<id>` in the
environment it was started with.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from server.jobs.rows import StoredProcess
from server.processes.children import CHILD_VARIABLE
from server.processes.control_group import kill_group, processes_of_group, remove_group
from server.processes.process_tree import (
    KILL_WAIT_S,
    POLL_S,
    ProcessEntry,
    Table,
    end_all_of,
    entry_of,
    send,
    snapshot,
    with_descendants,
)

JOB_VARIABLE = "EDGERUN_JOB"
STARTED_S = 2.0
"""A process that is older has its environment."""
ZOMBIE_S = 60.0
"""A child that ended so long ago is one that nobody waits for: this process adopted it."""


def described(pid: int, group: Path | None = None) -> StoredProcess:
    """A process, so that it can be told from a later one of the same id; raises OSError when it is gone."""
    return StoredProcess(pid, entry_of(pid).started_ticks, _boot_id(), str(group) if group else None)


def processes_of(job_id: str, leader: StoredProcess | None) -> list[ProcessEntry]:
    """All living processes of a job; the one that leads them too."""
    table = snapshot()
    roots = {each.pid for each in table.values() if _belongs(each, job_id, leader)}
    if leader is not None and _same_boot(leader):
        roots |= {each.pid for each in _adopted(table, leader)}
        if leader.group is not None:
            roots |= processes_of_group(Path(leader.group))
    found = with_descendants(table, roots) - {os.getpid()}
    return [table[pid] for pid in found if pid in table and table[pid].lives]


def end_all(job_id: str, leader: StoredProcess | None, wait_s: float = KILL_WAIT_S) -> bool:
    """Kill every process of a job and wait until none is left; False when one could not be killed.

    The leader goes last: as long as it is there, what its descendants leave behind stays below it.
    """
    first = _living(leader)
    killed: set[int] = set()

    def find(*, spared: int | None) -> list[ProcessEntry]:
        found = [each for each in processes_of(job_id, leader) if each.pid != spared]
        killed.update(each.pid for each in found)
        return found

    group = Path(leader.group) if leader is not None and leader.group and _same_boot(leader) else None
    if group is not None:
        find(spared=None)
        kill_group(group)
    ended = True
    if first is not None:
        send(first, signal.SIGSTOP)
        ended = end_all_of(lambda: find(spared=first.pid), wait_s)
    ended = end_all_of(lambda: find(spared=None), wait_s) and ended
    if group is not None:
        remove_group(group)
    _reap(killed - {leader.pid} if leader is not None else killed)
    return ended


def _belongs(each: ProcessEntry, job_id: str, leader: StoredProcess | None) -> bool:
    if not each.lives or each.pid == os.getpid():
        return False
    if leader is not None and _same_boot(leader):
        if each.pid == leader.pid and each.started_ticks == leader.started_ticks:
            return True
        # A session outlives its leader, and keeps its id from being given to another process.
        if each.session == leader.pid and each.started_ticks >= leader.started_ticks and _is_or_was(leader):
            return True
    return f"{JOB_VARIABLE}={job_id}".encode() in (each.environment() or b"").split(b"\0")


def _adopted(table: Table, leader: StoredProcess) -> Iterable[ProcessEntry]:
    """Children of this process that it did not start, since the leader began: their parents are gone."""
    for each in table.values():
        if each.parent == os.getpid() and each.lives and each.started_ticks >= leader.started_ticks:
            environment = _environment(each)
            mark = f"{CHILD_VARIABLE}={os.environ.get(CHILD_VARIABLE)}".encode()
            # Between fork and exec a child of ours still shows this process' own environment.
            if environment not in (None, _own_environment()) and mark not in (environment or b"").split(b"\0"):
                yield each


def _environment(each: ProcessEntry) -> bytes | None:
    """What a process was started with; one that is just being started has nothing to show yet."""
    while (environment := each.environment()) == b"" and _age_s(each) < STARTED_S and _is_there(each):
        time.sleep(POLL_S)
    return environment


def _age_s(each: ProcessEntry) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - each.started_ticks / os.sysconf("SC_CLK_TCK")


@cache
def _own_environment() -> bytes:
    return Path("/proc/self/environ").read_bytes()


_zombies: dict[tuple[int, int], float] = {}
"""When children that ended were first seen unreaped, on the monotonic clock."""


def _reap(killed: Iterable[int]) -> None:
    """Take note of the end of children that this process adopted; those that it started are somebody else's to note."""
    ours = [each for each in snapshot().values() if each.parent == os.getpid() and not each.lives]
    now, known, session = time.monotonic(), set(killed), os.getsid(0)
    since = {key: _zombies.get(key, now) for key in ((each.pid, each.started_ticks) for each in ours)}
    for each in ours:
        # What this process starts leads a session or is in its own.
        adopted = each.pid in known or each.session not in (each.pid, session)
        if adopted or now - since[each.pid, each.started_ticks] > ZOMBIE_S:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(each.pid, os.WNOHANG)
    _zombies.clear()
    _zombies.update(since)


def _living(process: StoredProcess | None) -> ProcessEntry | None:
    if process is None or not _same_boot(process):
        return None
    with contextlib.suppress(OSError):
        found = entry_of(process.pid)
        return found if found.lives and found.started_ticks == process.started_ticks else None
    return None


def _is_there(each: ProcessEntry) -> bool:
    with contextlib.suppress(OSError):
        return entry_of(each.pid).lives
    return False


def _is_or_was(process: StoredProcess) -> bool:
    """Whether the id of a stored process is its own still, or nobody's."""
    try:
        return entry_of(process.pid).started_ticks == process.started_ticks
    except OSError:
        return True


def _same_boot(process: StoredProcess) -> bool:
    return process.boot_id == _boot_id()


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

"""The processes of a job: started so that they can be found again, and ended all of them.

A job's process leads a session; everything it starts carries `EDGERUN_JOB=<id>` in its environment. So a program that
makes sessions of its own, and one that is left over from an agent that died, is found too.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from server.jobs.store import StoredProcess

JOB_VARIABLE = "EDGERUN_JOB"
POLL_S = 0.02
KILL_WAIT_S = 5.0


def described(pid: int) -> StoredProcess:
    """A process, so that it can be told from a later one of the same id; raises OSError when it is gone."""
    fields = _stat(pid)
    return StoredProcess(pid, int(fields[19]), _boot_id())


def processes_of(job_id: str, leader: StoredProcess | None) -> Iterator[int]:
    """Ids of all living processes of a job."""
    mark = f"{JOB_VARIABLE}={job_id}".encode()
    session = leader.pid if leader is not None and _same(leader) else None
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        pid = int(folder.name)
        with contextlib.suppress(OSError):
            fields = _stat(pid)
            if fields[0] == "Z" or pid == os.getpid():
                continue
            if int(fields[3]) == session or mark in (folder / "environ").read_bytes().split(b"\0"):
                yield pid


def end_all(job_id: str, leader: StoredProcess | None) -> bool:
    """Kill every process of a job and wait until none is left; False when one could not be killed."""
    deadline = time.monotonic() + KILL_WAIT_S
    while left := list(processes_of(job_id, leader)):
        if time.monotonic() > deadline:
            return False
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)
    return True


def _same(process: StoredProcess) -> bool:
    """Whether the session of a stored process can still be its own: the machine has not been started anew."""
    if process.boot_id != _boot_id():
        return False
    try:
        return int(_stat(process.pid)[19]) == process.started_ticks
    except OSError:  # it is gone, but its session may live: no other process gets its id meanwhile
        return True


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on (proc_pid_stat(5), field 3)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

"""What a worker process does to itself before it touches anything from outside."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_MADV_DONTNEED = 4
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LIBC = ctypes.CDLL(None)


def confine(parent_pid: int, memory_bytes: int | None) -> None:
    """Give up what a worker does not need, and never outlive the agent.

    No new privileges, no core dumps, no files written, a ceiling on private memory, first in line when the
    kernel runs out of memory. Ctrl-C in the agent's terminal is the agent's to handle.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # unlike the agent, see `yield_to_workers`
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not die_with(parent_pid):
        sys.exit(1)
    forbid_new_privileges()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    limit_memory(memory_bytes)
    die_first()


def limit_memory(most_bytes: int | None) -> None:
    """Get no more private memory than this, and leave no image of it behind when it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))


def die_with(parent_pid: int, by: signal.Signals = signal.SIGKILL) -> bool:
    """Have this process sent a signal when its parent dies (`PR_SET_PDEATHSIG`); False when it died already."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, by, 0, 0, 0)
    return os.getppid() == parent_pid


def name_process(name: str) -> None:
    """Give this process a name that `ps -o comm` and `top` show, of at most 15 bytes (`PR_SET_NAME`)."""
    _LIBC.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def adopt_orphans() -> bool:
    """Become the parent of all that descendants of this process leave behind (`PR_SET_CHILD_SUBREAPER`).

    False where the kernel does not do that.
    """
    return bool(_LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def die_first(score: int = 500) -> None:
    """Have the kernel kill this process, and what it starts, before others when memory runs out; 1000 is first."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(score))


def forbid_new_privileges() -> None:
    """Make setuid programs powerless in this process and its children (`PR_SET_NO_NEW_PRIVS`)."""
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def yield_to_workers() -> None:
    """Let this process's wake-ups not interrupt a worker in the middle of a picture (`SCHED_BATCH`).

    Workers hold their next picture already, so nothing waits for the agent in a hurry; interrupting them for each
    piece of a body costs more than it gains (docs/performance.md). Idle cores answer as fast as before.
    """
    with contextlib.suppress(OSError):  # some sandboxes forbid even this
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def keep_freed_memory(mmap_threshold_bytes: int = 16 << 20, trim_threshold_bytes: int = 64 << 20) -> None:
    """Let glibc reuse the memory of pictures instead of returning it to the kernel after each.

    In the agent's own process, which takes in bodies piece by piece, this halves the time spent on a picture
    (benchmarks/allocator.py). Where the C library has no mallopt, nothing changes.
    """
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_MMAP_THRESHOLD, mmap_threshold_bytes)
        _LIBC.mallopt(_M_TRIM_THRESHOLD, trim_threshold_bytes)


def return_freed_memory() -> None:
    """Give the kernel back what is free now. Where the C library has no malloc_trim, nothing changes."""
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


def forget_file_pages() -> None:
    """Let go of the pages of programs and libraries that this process has mapped; used again, they are mapped again.

    Importing a library touches far more of it than running it does. Only what may not be written, and holds nothing
    but the file's own content, is let go (`MADV_DONTNEED`, man madvise).
    """
    mapping: tuple[int, int] | None = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split(maxsplit=5)
        if not words[0].endswith(":"):  # addresses, permissions, offset, device, inode, path
            start, end = (int(address, 16) for address in words[0].split("-"))
            of_file = words[1] in ("r-xp", "r--p") and words[4] != "0"
            mapping = (start, end - start) if of_file else None
        elif words[0] == "Anonymous:" and mapping is not None and words[1] == "0":
            _LIBC.madvise(ctypes.c_void_p(mapping[0]), ctypes.c_size_t(mapping[1]), _MADV_DONTNEED)

"""What the machine has and what this process may use of it.

System files are read under a `root`, so tests can build a tree. Control groups of both versions count, and so
does the affinity mask; the smallest of all limits on the way up the hierarchy wins.
"""

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

MIB = 1 << 20
MEMORY_PER_WORKER_BYTES = 192 * MIB
"""At least this much of the allowed memory must be there for each worker started by default."""

_V1_UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as a number close to 2**63."""


@dataclass(frozen=True)
class Allowed:
    """CPUs and memory that are left to this process, and what limits each."""

    cpus: float
    cpus_source: str
    memory_bytes: int | None
    memory_source: str

    @property
    def whole_cpus(self) -> int:
        """CPUs that can be kept busy without being throttled; at least one."""
        return max(1, int(self.cpus))

    @property
    def default_workers(self) -> int:
        """One worker a whole CPU, as far as memory reaches."""
        if self.memory_bytes is None:
            return self.whole_cpus
        return max(1, min(self.whole_cpus, self.memory_bytes // MEMORY_PER_WORKER_BYTES))


def allowed_resources(root: Path = Path("/")) -> Allowed:
    """Read control groups, affinity mask and physical memory."""
    cpus = [(float(len(os.sched_getaffinity(0))), "affinity")]
    memory = [(total, "physical")] if (total := physical_memory_bytes(root)) else []
    for folder in control_groups(root, "cpu"):
        if (quota := _cpu_quota(folder)) is not None:
            cpus.append((quota, "cgroup"))
    for folder in control_groups(root, "memory"):
        if (limit := _memory_limit(folder)) is not None:
            memory.append((limit, "cgroup"))
    fewest, least = min(cpus), min(memory, default=(None, "unknown"))
    return Allowed(fewest[0], fewest[1], least[0], least[1])


def allowed_tasks(root: Path = Path("/")) -> int | None:
    """Processes and threads that this process' control groups allow, None where they do not limit them."""
    found = []
    for folder in control_groups(root, "pids"):
        try:
            found.append(int((folder / "pids.max").read_text()))
        except (OSError, ValueError):  # "max" is none
            continue
    return min(found, default=None)


def oom_kills(root: Path = Path("/")) -> int:
    """Processes that the kernel has killed since the machine was started because memory ran out."""
    return _first_match(root / "proc/vmstat", "oom_kill ", int) or 0


def physical_memory_bytes(root: Path = Path("/")) -> int | None:
    """Memory of the machine."""
    return _first_match(root / "proc/meminfo", "MemTotal:", lambda value: int(value.split()[0]) * 1024)


def cpu_model(root: Path = Path("/")) -> str | None:
    """The CPU's or board's name as /proc/cpuinfo gives it; ARM kernels often give none."""
    for key in ("Model\t", "model name\t", "Hardware\t"):
        if name := _first_match(root / "proc/cpuinfo", key, lambda value: value.lstrip("\t: ").strip()):
            return name
    return None


def machine() -> str:
    """The instruction set: `aarch64`, `x86_64`, ..."""
    return platform.machine()


def private_bytes(pid: int, root: Path = Path("/")) -> int | None:
    """Resident memory of a process that is not shared with others, None when it is gone."""
    try:
        _, resident, shared, *_ = (root / f"proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return None
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _first_match(path: Path, key: str, convert: Callable[[str], T]) -> T | None:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((convert(line[len(key) :]) for line in lines if line.startswith(key)), None)


def control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of this process's control group and its parents, for one controller, in either version."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mount = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = mount
        elif controller in controllers.split(","):
            base = next((mount / name for name in (controllers, controller) if (mount / name).is_dir()), mount)
        else:
            continue
        inside = base / path.lstrip("/")
        # In a container the path may be the host's and not exist below the mount: then the mount itself counts.
        while inside.is_dir() and inside != base:
            yield inside
            inside = inside.parent
        yield base


def _cpu_quota(folder: Path) -> float | None:
    try:
        if (modern := folder / "cpu.max").exists():
            quota, period = modern.read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return int(quota) / int(period) if quota not in ("max", "-1") else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _memory_limit(folder: Path) -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        try:
            limit = int((folder / name).read_text())
        except (OSError, ValueError):
            continue
        return limit if limit < _V1_UNLIMITED else None
    return None

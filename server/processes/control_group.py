"""A control group for a job, where this process may make one: nothing leaves it, so everything of a job is found.

Version 2 also kills all of it at once. Where groups are not delegated to the agent, a job goes without.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

PROCESSES = "cgroup.procs"
KILL = "cgroup.kill"
_MOUNT = Path("/sys/fs/cgroup")
_V1_HIERARCHIES = ("freezer", "pids")
"""Version 1 in which a group of its own limits nothing unless it is told to."""


def make_group(job_id: str, pid: int) -> Path | None:
    """Put a process, which has no children yet, into a new group; None where that is not allowed."""
    for parent in _own_groups():
        group = parent / f"edgerun-{job_id}"
        try:
            group.mkdir(exist_ok=True)
            with (group / PROCESSES).open("r+") as file:
                file.write(str(pid))
        except OSError:
            remove_group(group)
        else:
            return group
    return None


def processes_of_group(group: Path) -> set[int]:
    """Ids of the processes in a group, none when it is gone."""
    with contextlib.suppress(OSError, ValueError):
        return {int(line) for line in (group / PROCESSES).read_text().split()}
    return set()


def kill_group(group: Path) -> None:
    """Kill all of a group at once, where the kernel can."""
    with contextlib.suppress(OSError), (group / KILL).open("r+") as file:
        file.write("1")


def remove_group(group: Path) -> None:
    """Remove an empty group."""
    with contextlib.suppress(OSError):
        group.rmdir()


def _own_groups() -> Iterator[Path]:
    """Groups of this process in which one for a job may be made, best first."""
    try:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    paths = {controllers: path.lstrip("/") for _, controllers, path in lines}
    for name, bases in (("", (_MOUNT / "unified", _MOUNT)), *((each, (_MOUNT / each,)) for each in _V1_HIERARCHIES)):
        for base in bases:
            # In a container the path may be the host's and not exist below the mount: then the mount itself counts.
            parent = next((each for each in (base / paths.get(name, ""), base) if (each / PROCESSES).exists()), None)
            if name in paths and parent is not None:
                yield parent

"""A job's process: wait for leave, do the work, report, end.

Started as `python -P -m server.jobs.host.main FOLDER EVENTS_FD AGENT_PID`, as the leader of a session of its own,
with the job's folder as its working directory. It begins when the agent closes its standard input, so that the
telemetry beside it misses nothing.
"""

import contextlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path

from server.jobs.host.events import Events
from server.jobs.host.failure import JobFailed
from server.workers.confinement import adopt_orphans, die_first, die_with, forbid_new_privileges, limit_memory

ORDER_NAME = "order.json"
OUT_OF_MEMORY = ("bad_alloc", "can't start new thread", "llocate memory")
"""What libraries say that get no more memory."""


def main(argv: list[str]) -> int:
    """Carry out one order."""
    folder, events_fd, agent_pid = Path(argv[0]), int(argv[1]), int(argv[2])
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # unlike the agent
    if not die_with(agent_pid):
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    forbid_new_privileges()
    order = json.loads((folder / ORDER_NAME).read_text())
    die_first()
    limit_memory(order.get("memory_bytes"))
    events = Events(folder, events_fd)
    sys.stdin.read()
    try:
        _run(order, folder, events, agent_pid)
    except Exception as error:
        code, detail = _reason(error, order.get("memory_bytes"))
        if code == "internal_error":
            traceback.print_exc()
        events.write("failed", code=code, detail=detail)
    else:
        events.write("done")
    return 0


def _reason(error: Exception, memory_bytes: int | None) -> tuple[str, str]:
    """What ended the job, as a code and in words."""
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        limit = f"the {memory_bytes >> 20} MiB that it may have here" if memory_bytes is not None else "there is"
        said = f": {error}" if str(error) else ""
        return "worker_out_of_memory", f"the job needs more memory than {limit}{said}"
    if isinstance(error, JobFailed):
        return error.code, str(error)
    return "internal_error", f"{type(error).__name__}: {error}"


def _run(order: dict[str, object], folder: Path, events: Events, agent_pid: int) -> None:
    if order["kind"] == "command":
        from server.jobs.host.command import run_command

        run_command(order, folder, events, agent_pid)
    elif order["kind"] == "profile":
        from server.jobs.host.profile import run_profile

        run_profile(order, events)
    else:
        from server.jobs.host.benchmark import run_benchmark

        run_benchmark(order, folder, events)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

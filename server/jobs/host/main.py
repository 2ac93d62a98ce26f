"""A job's process: wait for leave, do the work, report, end.

Started as `python -P -m server.jobs.host.main AGENT_PID EVENTS_FD JOURNAL_FD STDOUT_FD STDERR_FD`, as the leader of a
session of its own, in the folder that a program works in. The first line of its standard input is the order. It begins
when the agent has written `go` and closed it, so that the telemetry beside it misses nothing. What it reports and what
a program prints goes to descriptors: it knows no folder of the agent's.
"""

import contextlib
import json
import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

from contract.codes import ErrorCode
from server.jobs.host.events import Events
from server.jobs.host.failure import JobFailed
from server.jobs.host.surroundings import Surroundings
from server.jobs.record.channels import GO, Channels
from server.jobs.record.plain_events import DoneEvent, FailedEvent, ProbeEvent
from server.processes.confinement import adopt_orphans, die_first, die_with, forbid_new_privileges, limit_memory
from server.storage.trees import FULL
from server.validity.fixed_work import fixed_work_ms

OUT_OF_MEMORY = ("bad_alloc", "can't start new thread", "llocate memory")
"""What libraries say that get no more memory."""


def main(argv: list[str]) -> int:
    """Execute one order."""
    agent_pid = int(argv[0])
    channels = Channels.of_arguments(argv[1:])
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # unlike the agent
    if not die_with(agent_pid):
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    forbid_new_privileges()
    order = json.loads(sys.stdin.buffer.readline())
    die_first()
    limit_memory(order.get("memory_bytes"))
    events = Events(channels.journal, channels.events)
    if sys.stdin.buffer.read() != GO:
        return 1
    try:
        _run(order, Surroundings(events, channels, agent_pid))
    except Exception as error:
        code, detail = _reason(error, order.get("memory_bytes"))
        if code == ErrorCode.INTERNAL_ERROR:
            traceback.print_exc()
        events.write(FailedEvent(code=code, detail=detail))
    else:
        events.write(DoneEvent())
    return 0


def _reason(error: Exception, memory_bytes: int | None) -> tuple[str, str]:
    """What ended the job, as a code and in words."""
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        limit = f"the {memory_bytes >> 20} MiB that it may have here" if memory_bytes is not None else "there is"
        said = f": {error}" if str(error) else ""
        return ErrorCode.WORKER_OUT_OF_MEMORY, f"the job needs more memory than {limit}{said}"
    if isinstance(error, JobFailed):
        return error.code, str(error)
    full = isinstance(error, OSError) and error.errno in FULL
    return ErrorCode.STORAGE_FULL if full else ErrorCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}"


def _run(order: dict[str, Any], surroundings: Surroundings) -> None:
    """Do the work of a kind, between two looks at how fast the machine is: the same around every kind.

    The module of this folder that has the kind's name does it; each loads what it needs and no more.
    """
    work = import_module(f"server.jobs.host.{order['kind']}")
    events = surroundings.events
    events.phase("idle")
    before_ms = fixed_work_ms()
    events.write(ProbeEvent(before_ms=before_ms))
    work.run(order, surroundings)
    events.phase("cool-down")
    events.write(ProbeEvent(before_ms=before_ms, after_ms=fixed_work_ms()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

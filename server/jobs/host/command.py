"""Run a program in a folder of its own; what it leaves in `$OUTPUT` are its artefacts."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from server.jobs.host.bundle import BadBundle, unpack
from server.jobs.host.failure import JobFailed
from server.jobs.host.surroundings import Surroundings
from server.jobs.record.channels import Channels
from server.jobs.record.orders import CommandOrder
from server.jobs.record.plain_events import EndedEvent
from server.processes.confinement import die_first, die_with
from server.processes.process_tree import end_descendants, snapshot
from server.storage.permissions import PROGRAM_UMASK

AGENT_DIED = signal.SIGUSR1
PROCESSES_MAX = 4096
"""More than the program's user has at its start; threads count too."""
PROGRAM_OOM_SCORE = 1000
_PASSED_ON = ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "EDGERUN_JOB")


def run(fields: dict[str, Any], surroundings: Surroundings) -> None:
    """Execute one order; raises JobFailed when the program cannot be started."""
    order, events = CommandOrder(**fields), surroundings.events
    if order.bundle is not None:
        try:
            unpack(Path(order.bundle), Path(order.work), order.max_file_bytes)
        except BadBundle as error:
            raise JobFailed("invalid_request", f"the bundle: {error}") from error
    _end_with_the_agent(surroundings.agent_pid)
    events.phase("command")
    started = time.monotonic()
    code = _run(order, surroundings.channels)
    left_running = end_descendants()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = EndedEvent(
        left_running=left_running,
        exit_code=code if code >= 0 else None,
        signal=_signal_name(code),
        duration_s=time.monotonic() - started,
        cpu_s=used.ru_utime + used.ru_stime,
        max_resident_bytes=used.ru_maxrss * 1024,
    )
    events.write(ended)


def _end_with_the_agent(agent_pid: int) -> None:
    """When the agent dies, end all that the program started, however it made itself independent."""

    def end(*_: object) -> None:
        end_descendants()
        os._exit(1)

    signal.signal(AGENT_DIED, end)
    if not die_with(agent_pid, AGENT_DIED):
        end()


def _run(order: CommandOrder, channels: Channels) -> int:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"  # `python` has the agent's packages
    ours = {"PATH": path, "HOME": order.work, "OUTPUT": order.output, "PYTHONUNBUFFERED": "1"}
    environment = {**passed_on, **ours, **order.env}
    host_pid, max_processes = os.getpid(), _max_processes()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the program gets it too, and how it ends is worth knowing
    try:
        program = subprocess.Popen(
            order.argv,
            cwd=order.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=channels.stdout,
            stderr=channels.stderr,
            preexec_fn=lambda: _before_the_program(host_pid, order.max_file_bytes, max_processes),
        )
    except OSError as error:
        detail = f"{order.argv[0]}: {error.strerror}"
        raise JobFailed("invalid_request", f"the program cannot be started: {detail}") from error
    return _wait_for(program)


def _wait_for(program: "subprocess.Popen[bytes]") -> int:
    """Wait for a program, and take note of the ends of all that is adopted meanwhile."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == program.pid:
            program.returncode = os.waitstatus_to_exitcode(status)
            return program.returncode


def _before_the_program(host_pid: int, max_file_bytes: int, max_processes: int) -> None:
    os.umask(PROGRAM_UMASK)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(AGENT_DIED, signal.SIG_DFL)
    die_first(PROGRAM_OOM_SCORE)
    resource.setrlimit(resource.RLIMIT_NPROC, (max_processes, max_processes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not die_with(host_pid):
        os._exit(1)


def _max_processes() -> int:
    """Processes and threads that the program's user may have while it runs, in all; root is not bound by it."""
    tasks = sum(each.threads for each in snapshot().values() if each.user() == os.getuid())
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    wanted = tasks + PROCESSES_MAX
    return wanted if most == resource.RLIM_INFINITY else min(wanted, most)


def _signal_name(code: int) -> str | None:
    if code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

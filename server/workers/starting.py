"""How worker processes are started: each on its own, or forked from a template that has imported all they need.

Workers of one template share the memory of what it imported, and start without importing it again
(docs/performance.md). The template forks twice: so a worker is an orphan from the beginning and becomes a child of
the agent, which adopts those (`PR_SET_CHILD_SUBREAPER`). The agent notes every worker's end itself, and the end of
the template ends no worker.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from server.processes.children import child_command, child_settings
from server.processes.confinement import adopt_orphans
from server.processes.process_tree import entry_of

WORKER_NAME, TEMPLATE_NAME = "edgerun-worker", "edgerun-fork"
"""Shown by `ps -o comm`; a forked worker has its template's command line."""

CANNOT_FORK = 3
"""Status of a template that finds itself with more than one thread: a forked child has but one, and would wait for
the others for ever."""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""Keeps NumPy's library from starting threads when it is imported. Nothing of a worker multiplies matrices with it."""
TEMPLATE_END_S = 0.1
"""The sockets of a process close a moment before its end can be noted."""
STILLBORN = 1
"""Status noted of a worker that was gone before it told its process id."""


@dataclass(frozen=True)
class WorkerOptions:
    """What every worker of a runtime is started with."""

    runtime: str
    delegates: bool
    memory_bytes: int
    """Private memory at which it is replaced."""
    devices: tuple[str, ...] = ("CPU",)
    """The devices on which models run, best first."""


class ChildProcess(Protocol):
    """A child of this process, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int | None:
        """Process id, None as long as it is not known."""

    @property
    def returncode(self) -> int | None:
        """Exit status, or the negative number of the signal that ended it; None until `poll` noted its end."""

    def poll(self) -> int | None:
        """Note its end if it has ended, and give `returncode`."""

    def kill(self) -> None:
        """End it at once."""


class Starter:
    """Starts the workers of one runtime."""

    def __init__(self, runtime: str, *, shared: bool) -> None:
        """`shared`: fork them from a template, where runtime and kernel allow it."""
        self._runtime = runtime
        self._shared = shared and adopt_orphans()
        self._template: _Template | None = None

    def start(self, options: WorkerOptions, descriptors: tuple[int, int, int], stderr: int) -> ChildProcess:
        """Start a worker. `descriptors`: its socket, the memory of requests, its memory of results."""
        delegates = "delegates" if options.delegates else "builtin"
        arguments = (os.getpid(), options.runtime, delegates, options.memory_bytes, *options.devices)
        if self._template is not None and self._template.process.poll() == CANNOT_FORK:
            self._shared = False
        if not self._shared:
            command = child_command("server.workers.main", *descriptors, *arguments)
            return subprocess.Popen(command, **child_settings(descriptors, stderr=stderr))
        if self._template is None or self._template.process.poll() is not None:
            self.close()
            self._template = _Template(self._runtime, stderr)
        return self._template.fork(arguments, (*descriptors, stderr))

    @property
    def ended(self) -> bool:
        """Whether no template is left of it."""
        return self._template is None or self._template.process.poll() is not None

    def close(self) -> None:
        """Have the template end; the workers live on."""
        if self._template is not None:
            self._template.control.close()


class _Template:
    """The agent's end of a process of `server.workers.template`."""

    def __init__(self, runtime: str, stderr: int) -> None:
        """What goes wrong while it imports is told to `stderr`, that of the worker it is needed for first."""
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        with theirs:
            command = child_command("server.workers.template", theirs.fileno(), os.getpid(), runtime)
            settings = child_settings((theirs.fileno(),), ONE_THREAD, stderr=stderr)
            self.process = subprocess.Popen(command, **settings)

    def fork(self, arguments: Sequence[object], descriptors: Sequence[int]) -> "ForkedWorker":
        """Ask for a worker. Where the template is gone, the worker's socket closes as if it had ended."""
        with contextlib.suppress(OSError):
            socket.send_fds(self.control, [json.dumps([*map(str, arguments)]).encode()], descriptors)
        return ForkedWorker(self.process)


class ForkedWorker:
    """A worker that a template forks."""

    def __init__(self, template: subprocess.Popen[bytes]) -> None:
        self.pid: int | None = None
        self.returncode: int | None = None
        self._template = template
        self._missed_at: float | None = None

    def introduce(self, pid: int) -> None:
        """It told its process id; raises ValueError for one that is not a child of this process."""
        try:
            ours = self.pid is None and entry_of(pid).parent == os.getpid()
        except OSError:
            ours = False
        if not ours:
            raise ValueError(f"process {pid} is not its own")
        self.pid = pid

    def poll(self) -> int | None:
        """Note its end, once its socket has closed. One that never told its process id ended as its template did."""
        if self.returncode is None and self.pid is None:
            self._missed_at = self._missed_at or time.monotonic()
            self.returncode = self._template.poll()
            if not self.returncode and time.monotonic() > self._missed_at + TEMPLATE_END_S:
                self.returncode = STILLBORN
        elif self.returncode is None and self.pid is not None:
            try:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else noted it: as `subprocess` has it, all was well
                self.returncode = 0
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def kill(self) -> None:
        """End it at once; before its process id is known, with the template that does not come to fork it."""
        if self.pid is None:
            self._template.kill()
        elif self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

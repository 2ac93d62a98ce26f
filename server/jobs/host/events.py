"""Where a job's process reports while it works, one JSON object a line.

Each line is on the disk before it is sent, so a job that is cut off has kept what it had measured.
"""

import errno
import os
import time
from typing import Protocol

from server.jobs.record.plain_events import PhaseEvent


class Event(Protocol):
    """One of `record.plain_events` or `record.events`."""

    def to_json(self) -> bytes:
        """The event as a line without its end."""
        ...


class Events:
    """Appends events to the job's file and passes them on to the agent.

    Where the disk is full, the agent alone is told.
    """

    def __init__(self, journal_fd: int, agent_fd: int) -> None:
        self._journal_fd = journal_fd
        self._agent_fd = agent_fd
        self._full = False

    def write(self, event: Event) -> None:
        """Report something; raises OSError when the disk has become full, once."""
        line = event.to_json() + b"\n"
        error = None if self._full else self._keep(line)
        self._pass_on(line)
        if error is not None:
            self._full = True
            raise error

    def phase(self, name: str) -> None:
        """A new phase begins now."""
        self.write(PhaseEvent(name=name, at_ns=time.monotonic_ns()))

    def _keep(self, line: bytes) -> OSError | None:
        try:
            written = os.write(self._journal_fd, line)
            if written == len(line):
                return None
            # A disk that fills up takes the beginning of a line.
            os.ftruncate(self._journal_fd, os.fstat(self._journal_fd).st_size - written)
        except OSError as error:
            return error
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _pass_on(self, line: bytes) -> None:
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._agent_fd, left) :]
        except BrokenPipeError:  # the agent died, a moment before this process hears of it: add nothing more
            os._exit(1)

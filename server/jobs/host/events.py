"""What a job's process reports while it works, one JSON object a line.

Each line is on the disk before it is sent, so a job that is cut off has kept what it had measured.
"""

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

EVENTS_NAME = "events.ndjson"


class Events:
    """Appends events to the job's file and passes them on to the agent."""

    def __init__(self, folder: Path, agent_fd: int) -> None:
        self._file = os.open(folder / EVENTS_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._agent_fd = agent_fd

    def write(self, event: str, **fields: Any) -> None:
        """Report something; raises OSError where the disk is full."""
        line = json.dumps({"event": event, "at_ns": time.monotonic_ns(), **fields}).encode() + b"\n"
        written = os.write(self._file, line)
        if written < len(line):  # a disk that fills up takes the beginning of a line
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._pass_on(line)

    def _pass_on(self, line: bytes) -> None:
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._agent_fd, left) :]
        except BrokenPipeError:  # the agent died, a moment before this process hears of it: add nothing more
            os._exit(1)

    def phase(self, name: str) -> None:
        """A new phase begins now."""
        self.write("phase", name=name)

"""ProxyCommand of ~/.ssh/config: a program whose input and output are the connection.

asyncssh would split its words without a shell, and take its complaints for the connection: here it runs as with ssh.
"""

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import IO

END_TIMEOUT_S = 2.0
POLL_INTERVAL_S = 0.02
SAID_MAX = 300
"""Characters that are shown of what it complained."""


@dataclass
class ProxyCommand:
    """A proxy command that was started."""

    command: str
    connection: socket.socket
    """Our end of what it carries."""
    _child: subprocess.Popen[bytes]
    _said: IO[bytes]

    async def failure(self) -> str | None:
        """How it ended and what it complained last; None while it runs."""
        await _await_end(self._child, END_TIMEOUT_S / 10)  # its connection is lost a moment before
        if self._child.poll() is None:
            return None
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return f"it ended with {self._child.returncode}" + (f": {lines[-1][:SAID_MAX]}" if lines else "")


@asynccontextmanager
async def running(command: str) -> AsyncIterator[ProxyCommand]:
    """A proxy command that has ended when the context is left; raises OSError."""
    ours, its = socket.socketpair()
    with ours, tempfile.TemporaryFile() as said:
        with its:
            line = ["/bin/sh", "-c", f"exec {command}"]
            child = subprocess.Popen(line, stdin=its.fileno(), stdout=its.fileno(), stderr=said, start_new_session=True)
        try:
            yield ProxyCommand(command, ours, child, said)
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                if child.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(child.pid, number)
                    await _await_end(child, END_TIMEOUT_S)


async def _await_end(child: "subprocess.Popen[bytes]", timeout_s: float) -> None:
    for _ in range(int(timeout_s / POLL_INTERVAL_S)):
        if child.poll() is not None:
            return
        await asyncio.sleep(POLL_INTERVAL_S)

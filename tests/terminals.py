"""Commands on a terminal, as a person runs them."""

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

from tests.home import Home


def on_a_terminal(home: Home, program: str, *arguments: str, typed: bytes = b"", **variables: str) -> tuple[int, str]:
    """Run a command whose three streams are one terminal; gives its exit code and what the terminal was sent.

    The terminal itself adds nothing: no echo, no carriage returns.
    """
    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[1] &= ~termios.OPOST
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    environment = {**home.environment, "TERM": "dumb", **variables}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=home.folder, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            os.write(ours, typed)
            sent = _until_the_end(ours)
            process.wait(timeout=120)
        finally:
            process.kill()
    os.close(ours)
    return process.returncode, sent.decode()


def _until_the_end(terminal: int) -> bytes:
    sent = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last process has closed the other side
            return sent
        if not chunk:
            return sent
        sent += chunk

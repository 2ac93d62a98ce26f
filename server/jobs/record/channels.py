"""What a job's process is given open, beside its order."""

from collections.abc import Sequence
from dataclasses import dataclass

EVENTS_NAME, STDOUT_NAME, STDERR_NAME = "events.ndjson", "stdout.log", "stderr.log"
"""Files in the job's record: what its process reported, and what its program printed."""
GO = b"go"
"""Follows the order when the process may begin: the end alone may be that of an agent that died."""


@dataclass(frozen=True)
class Channels:
    """Descriptors by number."""

    events: int
    """A pipe to the agent."""
    journal: int
    """A file in which what goes there is kept."""
    stdout: int
    """Files of what a program prints."""
    stderr: int

    @classmethod
    def of_arguments(cls, argv: Sequence[str]) -> "Channels":
        """Read them from the command line of the process."""
        events, journal, stdout, stderr = map(int, argv)
        return cls(events, journal, stdout, stderr)

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """All of them, in the order of the command line."""
        return self.events, self.journal, self.stdout, self.stderr

"""Memory that one worker writes its answers into: tensors are too large for a datagram.

Each worker has its own, so that none can change another's answers, and only the agent and that worker hold it. It is
sealed: a worker that a hostile model took over cannot shrink it under the agent's hands, which would end the agent
by SIGBUS. What lies in it is copied out when the answer comes.
"""

import fcntl
import mmap
import os

SLOT_BYTES = 64 << 20
"""The largest body of an answer. Only bytes that were written take memory."""
KEPT_BYTES = 1 << 20
"""Memory that a slot keeps for the next answer."""


class ResultMemory:
    """Slots for the answers to the orders that one worker holds, used in turn."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._next = 0
        size = slots * SLOT_BYTES
        self.fd = os.memfd_create("edgerun-results", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        """For the worker, which writes."""
        os.ftruncate(self.fd, size)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self._memory = mmap.mmap(self.fd, size)

    def next_offset(self) -> int:
        """Where the answer to the next order goes."""
        offset = self._next * SLOT_BYTES
        self._next = (self._next + 1) % self._slots
        return offset

    def take(self, offset: int, size: int) -> bytes:
        """A copy of an answer; raises ValueError for a size that no answer has."""
        if not 0 <= size <= SLOT_BYTES:
            raise ValueError(f"an answer of {size} bytes")
        content = self._memory[offset : offset + size]
        if size > KEPT_BYTES:
            self._memory.madvise(mmap.MADV_REMOVE, offset + KEPT_BYTES, SLOT_BYTES - KEPT_BYTES)
        return content

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.fd)

"""Shared memory that pictures are received into and that all workers read: a picture is copied once, off the network.

One slot a request. Slots are large but sparse: only the bytes that were written take memory, and what a large
picture took is given back when it is answered.
"""

import heapq
import mmap
import os

from contract.codes import ErrorCode
from server.errors import AgentError

KEPT_BYTES = 1 << 20
"""Memory that a slot keeps for its next picture."""
KEPT_SLOTS = 16
"""Slots that keep memory at all; they are used first."""


class MemoryBudget:
    """Bytes of bodies in memory at a time, over all requests."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0

    def hold(self, size: int) -> None:
        """Count bytes as held; raises AgentError when they would be too many."""
        if self._held_bytes + size > self._max_bytes:
            limit = f"{self._max_bytes >> 20} MiB"
            raise AgentError(ErrorCode.QUEUE_FULL, f"pictures that wait fill the {limit} set aside for them")
        self._held_bytes += size

    def release(self, size: int) -> None:
        """Bytes are not held any more."""
        self._held_bytes -= size

    @property
    def half_used(self) -> bool:
        """Whether it is time to let nothing more in: what has begun to arrive still needs room to end."""
        return 2 * self._held_bytes > self._max_bytes


class Arena:
    """Slots for pictures in one memory file."""

    def __init__(self, slot_bytes: int, slots: int, budget: MemoryBudget) -> None:
        self.slot_bytes = -(-slot_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self.size_bytes = self.slot_bytes * slots
        self.budget = budget
        writable = os.memfd_create("edgerun-images")
        os.ftruncate(writable, self.size_bytes)
        self._memory = mmap.mmap(writable, self.size_bytes)
        self._view = memoryview(self._memory)
        self.fd = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY)
        """The descriptor for workers, which only read."""
        os.close(writable)
        self._free = list(range(slots))

    def take(self) -> "Slot":
        """A slot of one's own, as a context manager; raises AgentError when all are in use."""
        if not self._free:
            raise AgentError(ErrorCode.QUEUE_FULL, "every place for a picture is taken")
        return Slot(self, heapq.heappop(self._free))

    def view(self, offset: int, size: int) -> memoryview:
        """A part of the memory, writable."""
        return self._view[offset : offset + size]

    def give_back(self, number: int, size: int) -> None:
        """Free a slot of which so many bytes were used, and the memory that it need not keep."""
        keep = KEPT_BYTES if number < KEPT_SLOTS else 0
        if size > keep and self.slot_bytes > keep:
            self._memory.madvise(mmap.MADV_REMOVE, number * self.slot_bytes + keep, self.slot_bytes - keep)
        heapq.heappush(self._free, number)


class Slot:
    """The place of one picture, its own until the context ends."""

    def __init__(self, arena: Arena, number: int) -> None:
        self._arena = arena
        self._number = number
        self.offset = number * arena.slot_bytes
        self.size = 0
        self._held_bytes = 0

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *exception: object) -> None:
        self._arena.budget.release(self._held_bytes)
        self._arena.give_back(self._number, self.size)

    def append(self, chunk: bytes) -> None:
        """Add bytes; raises AgentError when all pictures together are too large."""
        self.hold(len(chunk))
        self.room(len(chunk))[:] = chunk

    def hold(self, size: int) -> None:
        """Count bytes that have come in; raises AgentError when all pictures together are too large."""
        self._arena.budget.hold(size)
        self._held_bytes += size

    def room(self, size: int) -> memoryview:
        """Add room for bytes that the caller fills, counting them with `hold` as they come."""
        end = self.offset + self.size
        self.size += size
        return self._arena.view(end, size)

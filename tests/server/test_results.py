"""The memory that a worker writes its answers into: nothing that it does there harms the agent."""

import mmap
import os

import pytest

from server.workers.results import KEPT_BYTES, SLOT_BYTES, ResultMemory


def test_an_answer_is_copied_out_of_the_slot_it_was_given() -> None:
    """Slots are used in turn, and what is taken stays as it was when the worker writes again."""
    memory = ResultMemory(2)
    theirs = mmap.mmap(memory.fd, 2 * SLOT_BYTES)
    offsets = [memory.next_offset() for _ in range(3)]
    assert offsets == [0, SLOT_BYTES, 0]
    theirs[offsets[1] : offsets[1] + 5] = b"first"
    taken = memory.take(offsets[1], 5)
    theirs[offsets[1] : offsets[1] + 5] = b"later"
    assert taken == b"first"
    memory.close()


def test_a_worker_cannot_take_the_memory_from_under_the_agent() -> None:
    """Shrunk, it would end the agent by SIGBUS at its next look; the seals cannot be taken off either."""
    memory = ResultMemory(1)
    for size in (0, SLOT_BYTES - 1, SLOT_BYTES + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(memory.fd, size)
    assert memory.take(0, SLOT_BYTES) == bytes(SLOT_BYTES)
    memory.close()


@pytest.mark.parametrize("size", [-1, SLOT_BYTES + 1, 1 << 62])
def test_sizes_that_no_answer_has_are_refused(size: int) -> None:
    """An answer never reaches into another's slot."""
    memory = ResultMemory(2)
    with pytest.raises(ValueError, match="bytes"):
        memory.take(0, size)
    memory.close()


def test_a_large_answer_keeps_no_memory() -> None:
    """What a large answer took is given back once it is copied out; a small one keeps its place for the next."""
    memory = ResultMemory(1)
    theirs = mmap.mmap(memory.fd, SLOT_BYTES)
    theirs[: 8 * KEPT_BYTES] = bytes([7]) * 8 * KEPT_BYTES
    assert os.fstat(memory.fd).st_blocks * 512 >= 8 * KEPT_BYTES
    memory.take(0, 8 * KEPT_BYTES)
    assert os.fstat(memory.fd).st_blocks * 512 <= 2 * KEPT_BYTES
    memory.close()

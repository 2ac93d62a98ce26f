"""A fixed piece of work. Timed before and after a measurement it shows a slower machine without any sensor.

One thread, arithmetic in the interpreter and passes over a block that fits no first-level cache; the best of a few
repeats, so that an interruption does not count, while a lower clock slows them all.
"""

import time

REPEATS = 5
STEPS = 280_000
"""The rounds of the arithmetic: about 25 ms on the build machine."""
BLOCK_BYTES = 1 << 20
PASSES = 54
"""Over the block: about as long."""
MODULUS = (1 << 31) - 1
FACTOR = 48271
_SWAPPED = bytes(range(255, -1, -1))


def fixed_work_ms(repeats: int = REPEATS) -> float:
    """Milliseconds for the fixed work, the best of several: about 50 ms each on the build machine."""
    block = bytes(range(256)) * (BLOCK_BYTES // 256)
    _work(block, STEPS // 10, PASSES // 10)  # wakes up a CPU that has slowed down while idle
    return min(_timed_ms(block) for _ in range(max(1, repeats)))


def _timed_ms(block: bytes) -> float:
    began = time.perf_counter_ns()
    _work(block, STEPS, PASSES)
    return (time.perf_counter_ns() - began) / 1e6


def _work(block: bytes, steps: int, passes: int) -> int:
    state = 1
    for _ in range(steps):
        state = state * FACTOR % MODULUS
    for _ in range(passes):
        block = block.translate(_SWAPPED)
    return state + block[0]

"""What a job that runs a model may use of this machine, and whether what is asked for fits, reckoned before it is run.

What cannot be reckoned, such as a model's activations, meets a limit on the memory of the job's process.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.codes import ErrorCode
from contract.models import TensorInfo
from contract.specs import BenchmarkSpec, ImageInput
from server.errors import AgentError
from server.jobs.record.orders import RANDOM_FRAMES
from server.resources import allowed_resources, allowed_tasks

THREADS_PER_CPU = 16
THREADS_MIN = 64
STACK_BYTES = 8 << 20
"""Address space that a thread takes at its start, nearly none of which it uses."""
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Bounds:
    """The most that one job may use."""

    threads: int
    memory_bytes: int | None
    """None where the machine does not tell how much it has."""

    def limit_bytes(self, threads: int) -> int | None:
        """Private memory at which a job of so many threads gets no more."""
        return None if self.memory_bytes is None else self.memory_bytes + threads * STACK_BYTES


def bounds_here(root: Path = Path("/")) -> Bounds:
    """16 threads a CPU, 64 at least; three quarters of the memory, so that the agent goes on beside a job."""
    allowed, tasks = allowed_resources(root), allowed_tasks(root)
    threads = max(THREADS_MIN, THREADS_PER_CPU * allowed.whole_cpus)
    memory = allowed.memory_bytes * 3 // 4 if allowed.memory_bytes is not None else None
    return Bounds(min(threads, tasks // 2) if tasks is not None else threads, memory)


def require_threads(threads: int, streams: int, bounds: Bounds) -> None:
    """Raise AgentError JOB_TOO_LARGE for more threads than a job may have."""
    total = threads * streams
    if total > bounds.threads:
        asked = (
            f"{streams:,} streams x {threads:,} threads = {total:,} threads" if streams > 1 else f"{total:,} threads"
        )
        hint = "lower --streams or --threads" if streams > 1 else "lower --threads"
        raise AgentError(ErrorCode.JOB_TOO_LARGE, f"{asked}; a job may have {bounds.threads:,} here", hint=hint)


def require_memory(
    spec: BenchmarkSpec, streams: int, inputs: Sequence[TensorInfo], model_bytes: int, bounds: Bounds
) -> None:
    """Raise AgentError JOB_TOO_LARGE where inputs and models alone need more memory than a job may have."""
    if bounds.memory_bytes is None:
        return
    count = len(spec.input.digests) if isinstance(spec.input, ImageInput) else RANDOM_FRAMES
    frame = sum(_bytes_of(tensor) for tensor in inputs)
    # The frames themselves; the batches in which all of them come up equally often; what each stream works on.
    batched = math.lcm(count, spec.batch) if spec.batch > 1 else 0
    needed = (count + batched + streams * spec.batch) * frame + streams * model_bytes
    if needed <= bounds.memory_bytes:
        return
    shape = ", ".join(f"{'x'.join(map(str, tensor.shape))} {tensor.dtype}" for tensor in inputs)
    parts = [f"{count:,} frames of {shape} ({_size(frame)} each)"]
    parts += [f"{batched:,} of them in batches of {spec.batch}, so that each comes up equally often"] if batched else []
    parts += [f"{streams:,} x {spec.batch:,} in {streams:,} streams with {_size(model_bytes)} of model each"]
    detail = f"{'; '.join(parts)}: {_size(needed)} in all; a job may use {_size(bounds.memory_bytes)} here"
    hint = "lower --batch or --streams, send fewer pictures, or as many as are a multiple of the batch"
    raise AgentError(ErrorCode.JOB_TOO_LARGE, detail, hint=hint)


def _bytes_of(tensor: TensorInfo) -> int:
    bits = re.search(r"\d+$", tensor.dtype)
    return math.prod(max(1, length) for length in tensor.shape) * max(1, int(bits[0]) // 8 if bits else 1)


def _size(count: float) -> str:
    """Bytes in the largest unit that leaves a number before the point."""
    unit = 0
    while count >= 1024 and unit < len(UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if unit == 0 or count >= 100 else f"{count:.1f} {UNITS[unit]}"

"""Load over gRPC: one call after the other from each of so many clients.

Started by `benchmarks.protocols` as `python -m benchmarks.grpc_load ADDRESS REQUEST CLIENTS SECONDS`, the request being
a file with a serialised message; prints what `Load` holds as JSON. Requests are not made and answers not read: what a
client in Python costs is kept small, and is still in the figures, as it shares the cores with the agent.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

CALL = "/inference.GRPCInferenceService/ModelInfer"


def main(argv: list[str]) -> None:
    """Make the load and print what was seen."""
    address, request, clients, seconds = argv
    took_ms, errors, duration_s = asyncio.run(_load(address, Path(request).read_bytes(), int(clients), float(seconds)))
    took_ms.sort()
    p50, p99 = (took_ms[int(share * (len(took_ms) - 1))] for share in (0.5, 0.99))
    found = {"requests": len(took_ms), "duration_s": duration_s, "errors": errors, "p50_ms": p50, "p99_ms": p99}
    print(json.dumps(found))


async def _load(address: str, request: bytes, clients: int, seconds: float) -> tuple[list[float], int, float]:
    took_ms: list[float] = []
    errors = 0
    began = time.monotonic()

    async def client() -> None:
        nonlocal errors
        # Without an option of its own each channel would share one connection with the others.
        async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            call: Any = channel.unary_unary(CALL)
            while time.monotonic() < began + seconds:
                before = time.perf_counter_ns()
                try:
                    await call(request)
                    took_ms.append((time.perf_counter_ns() - before) / 1e6)
                except grpc.aio.AioRpcError:
                    errors += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return took_ms, errors, time.monotonic() - began


if __name__ == "__main__":
    main(sys.argv[1:])

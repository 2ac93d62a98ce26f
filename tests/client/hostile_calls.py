"""Every call of the SDK, made to one agent after the other: `python -m tests.client.hostile_calls < HOSTS`.

Reads hosts as JSON, prints for each call what came of it and the memory that the process has needed.
"""

import asyncio
import faulthandler
import inspect
import json
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from client import AsyncEdgeClient, EdgeClient, EdgeError, Host
from contract.jobs import BenchmarkRequest
from contract.models import ModelManifest
from contract.specs import BenchmarkSpec
from contract.tokens import Scope

AT_ONCE = 16
JOB = "0123456789abcdef"
DIGEST = "sha256:" + "0" * 64
REQUEST = BenchmarkRequest(spec=BenchmarkSpec(model="digits"))
LARGE = Path("large.bin")
"""A file that is too large for the buffers between both ends."""

CALLS: Mapping[str, Callable[[Any], Any]] = {
    "classify": lambda client: client.classify(b"x"),
    "infer": lambda client: client.infer("digits", {"image": b"x"}),
    "detect": lambda client: client.detect(b"x", model="x"),
    "live": lambda client: client.live(),
    "ready": lambda client: client.ready(),
    "info": lambda client: client.info(),
    "new_session_code": lambda client: client.new_session_code(),
    "access": lambda client: client.access(),
    "tokens": lambda client: client.tokens(),
    "create_token": lambda client: client.create_token("x", [Scope.READ]),
    "revoke_token": lambda client: client.revoke_token("x"),
    "audit": lambda client: client.audit(),
    "runtimes": lambda client: client.runtimes(),
    "models": lambda client: client.models(),
    "model": lambda client: client.model("digits"),
    "push_model": lambda client: client.push_model("x", ModelManifest(model=DIGEST), {DIGEST: LARGE}),
    "synthetic_models": lambda client: client.synthetic_models(),
    "write_model": lambda client: client.write_model("resnet20-int8"),
    "delete_model": lambda client: client.delete_model("x"),
    "choose_default_model": lambda client: client.choose_default_model("x"),
    "put_blob": lambda client: client.put_blob(LARGE),
    "submit": lambda client: client.submit(REQUEST),
    "jobs": lambda client: client.jobs(),
    "job": lambda client: client.job(JOB),
    "cancel_job": lambda client: client.cancel_job(JOB),
    "delete_job": lambda client: client.delete_job(JOB),
    "job_result": lambda client: client.job_result(JOB),
    "job_telemetry": lambda client: client.job_telemetry(JOB),
    "job_artifacts": lambda client: client.job_artifacts(JOB, Path("asked") / f"{time.monotonic_ns()}.tar", 1 << 20),
    "job_logs": lambda client: client.job_logs(JOB),
    "job_events": lambda client: client.job_events(JOB),
    "telemetry": lambda client: client.telemetry(),
    "telemetry_stream": lambda client: client.telemetry_stream(),
}


def memory_bytes() -> int:
    """The most memory this program has needed so far. (`ru_maxrss` counts what started it too.)"""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def outcome(host: Host, call: Callable[[Any], Any]) -> str:
    """What came of one call: the error's type and exit code, or what it gave."""
    try:
        with EdgeClient(host) as client:
            found = call(client)
            for _ in found if inspect.isgenerator(found) else ():
                pass
    except EdgeError as error:
        return f"{type(error).__name__} {error.exit_code} {error}"
    except Exception as error:
        return f"TRACEBACK {error!r}"
    return f"NOTHING WRONG {found!r:.80}"


async def async_outcome(host: Host, call: Callable[[Any], Any]) -> str:
    """The same for asyncio."""
    try:
        async with AsyncEdgeClient(host) as client:
            found = call(client)
            if inspect.isasyncgen(found):
                async for _ in found:
                    pass
            else:
                found = await found
    except EdgeError as error:
        return f"{type(error).__name__} {error.exit_code} {error}"
    except Exception as error:
        return f"TRACEBACK {error!r}"
    return f"NOTHING WRONG {found!r:.80}"


async def all_async(pairs: list[tuple[Host, str]]) -> list[str]:
    """All pairs, some at once."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(host: Host, name: str) -> str:
        async with turn:
            return await async_outcome(host, CALLS[name])

    return await asyncio.gather(*(one(host, name) for host, name in pairs))


def main() -> None:
    """Make the calls that standard input names."""
    order = json.load(sys.stdin)
    faulthandler.dump_traceback_later(order["limit_s"], exit=True)  # says where what never ends is
    Path("asked").mkdir(exist_ok=True)
    LARGE.write_bytes(b"x" * (8 << 20))
    pairs = [(Host(**host), name) for host in order["hosts"] for name in order["calls"]]
    before = memory_bytes()
    started = time.monotonic()
    if order["asyncio"]:
        said = asyncio.run(all_async(pairs))
    else:
        with ThreadPoolExecutor(order["at_once"]) as pool:
            said = list(pool.map(lambda pair: outcome(pair[0], CALLS[pair[1]]), pairs))
    grown = memory_bytes() - before
    outcomes = [[host.name, name, text[:1000]] for (host, name), text in zip(pairs, said, strict=True)]
    json.dump({"outcomes": outcomes, "grown_bytes": grown, "seconds": time.monotonic() - started}, sys.stdout)


if __name__ == "__main__":
    main()

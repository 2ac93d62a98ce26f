"""How long do a page of the list and a submission take with very many jobs stored? Over HTTP, on a real agent."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import agent, table
from client.sdk.edge_client import EdgeClient
from contract.jobs import BenchmarkRequest, CommandRequest
from contract.specs import BenchmarkSpec, CommandSpec
from server.jobs.record.folders import JobFolders
from server.jobs.store import JobStore

REPEATS = 50
WAITING = 1000
"""Jobs that are queued, of all."""


def main() -> None:
    """Fill a list, start an agent on it, and time it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        _fill(data, arguments.jobs)
        with agent("--allow-commands", "on", data=data) as running, EdgeClient(running.host) as client:
            number = client.jobs(1).jobs[0].number
            request = BenchmarkRequest(spec=BenchmarkSpec(model="digits", iterations=1), priority=-10)
            rows = [
                _row("list: first page of 50", lambda: client.jobs(50)),
                _row("list: page from the middle", lambda: client.jobs(50, number // 2)),
                _row("one job", lambda: client.job(client.jobs(1).jobs[0].id)),
                _row("submit", lambda: client.submit(request)),
            ]
    print(table([f"with {arguments.jobs} jobs stored", "median ms", "most ms"], rows))


def _fill(data: Path, count: int) -> None:
    """Most of them ended, some waiting behind one that takes its time."""
    store = JobStore(data, JobFolders(data))
    store._db.execute("PRAGMA synchronous = OFF")
    sleeper = CommandRequest(spec=CommandSpec(argv=["sleep", "600"]), priority=10)
    request = BenchmarkRequest(spec=BenchmarkSpec(model="digits", iterations=1))
    for number in range(count - 1):
        store.add(f"{number:016x}", request, f"key {number}")
        if number >= WAITING:
            store.cancel_queued(f"{number - WAITING:016x}")
    store.add("sleeper", sleeper, None)
    store.close()


def _row(title: str, call: Callable[[], object]) -> list[str]:
    took_ms = []
    for _ in range(REPEATS):
        before = time.perf_counter_ns()
        call()
        took_ms.append((time.perf_counter_ns() - before) / 1e6)
    return [title, f"{statistics.median(took_ms):.1f}", f"{max(took_ms):.1f}"]


if __name__ == "__main__":
    main()

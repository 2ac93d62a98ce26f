"""Do connections of strangers disturb anybody? 64 to 1,000 of them idle, slow or never reading, plain and TLS.

Two parts for each crowd, because classification waits while a job measures: 4 clients with the token classify, and a
measuring job runs; a lone prober asks for liveness over a new connection each time throughout. It begins when all
strangers have come; those that the agent ended come back, 25 a second (`--returns 100` is a flood). Ends with 1 when a
job failed, an authenticated client waited longer than twice its quiet p99, or liveness took longer than 100 ms.
"""

import argparse
import http.client
import itertools
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from benchmarks.common import agent, push, supplied, table, wait_for_job
from benchmarks.crowd import SENT
from client.sdk.hosts import Host
from client.sdk.trust import tls_context
from contract.jobs import BenchmarkRequest
from contract.paths import CLASSIFY, HEALTH_LIVE, TLS_SERVER_NAME
from contract.specs import BenchmarkSpec

TOKEN = "a token that only benchmarks use"
CLIENTS = 4
WAIT_FACTOR = 2.0
LIVENESS_MAX_MS = 100.0
PROBE_PAUSE_S = 0.05


@dataclass
class Seen:
    """What one part of a measurement showed."""

    took_ms: list[float] = field(default_factory=list)
    liveness_ms: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)


def p99(values: Sequence[float]) -> float:
    """The value that 99 of 100 do not exceed."""
    return sorted(values)[max(0, -(-99 * len(values) // 100) - 1)] if values else 0.0


@contextmanager
def crowd(host: Host, kind: str, count: int, returns: int, *, tls: bool) -> Iterator[None]:
    """Strangers within the block; all have come once when it begins."""
    url = httpx.URL(host.url)
    arguments = [url.host, str(url.port), kind, str(count), str(returns), "TLS" if tls else "plain"]
    strangers = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crowd", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert strangers.stdout is not None
        strangers.stdout.readline()
        yield
    finally:
        strangers.communicate()


def classify(host: Host, image: bytes, over: threading.Event, seen: Seen) -> None:
    """One client that classifies over its one connection until told to stop."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=host.url, headers=headers, verify=tls_context(host) or False, timeout=30) as http_client:
        while not over.is_set():
            began = time.perf_counter()
            try:
                reply = http_client.post(CLASSIFY, content=image, extensions={"sni_hostname": TLS_SERVER_NAME})
                if reply.status_code != 200:
                    seen.faults.append(f"{reply.status_code}: {reply.text[:100]}")
            except httpx.HTTPError as error:
                seen.faults.append(f"{type(error).__name__}: {error}")
            seen.took_ms.append((time.perf_counter() - began) * 1e3)


def probe(host: Host, over: threading.Event, seen: Seen) -> None:
    """Ask for liveness without a token, over a new connection each time."""
    url = httpx.URL(host.url)
    context = ssl._create_unverified_context() if url.scheme == "https" else None
    while not over.wait(PROBE_PAUSE_S):
        began = time.perf_counter()
        connection = (
            http.client.HTTPSConnection(url.host, url.port, timeout=10, context=context)
            if context
            else http.client.HTTPConnection(url.host, url.port, timeout=10)
        )
        try:
            connection.request("GET", HEALTH_LIVE)
            if connection.getresponse().status != 200:
                seen.faults.append("liveness was refused")
        except OSError as error:
            seen.faults.append(f"liveness: {error}")
        finally:
            connection.close()
        seen.liveness_ms.append((time.perf_counter() - began) * 1e3)


@contextmanager
def watched(host: Host, seen: Seen, image: bytes | None) -> Iterator[None]:
    """Liveness, and with a picture also clients, while the block runs."""
    over = threading.Event()
    threads = [threading.Thread(target=probe, args=(host, over, seen))]
    if image is not None:
        threads += [threading.Thread(target=classify, args=(host, image, over, seen)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def measure(host: Host, image: bytes, seconds: float) -> Seen:
    """Clients that classify, then a measuring job."""
    seen = Seen()
    with watched(host, seen, image):
        time.sleep(seconds)
    with watched(host, seen, None):
        try:
            wait_for_job(host, BenchmarkRequest(spec=BenchmarkSpec(iterations=100)))
            seen.jobs.append("succeeded")
        except Exception as error:  # whatever went wrong is what this script is there to show
            seen.jobs.append("failed")
            seen.faults.append(f"job: {error}")
    return seen


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each measurement with clients")
    parser.add_argument("--returns", type=int, default=25, help="strangers that come back in a second")
    parser.add_argument("--short", action="store_true", help="the largest crowds alone, half as long")
    arguments = parser.parse_args()
    counts = (1000,) if arguments.short else (64, 256, 1000)
    seconds = arguments.seconds / 2 if arguments.short else arguments.seconds
    model, rows, held = supplied(), [], True
    image = model.image.read_bytes()
    for tls in (False, True):
        with agent("--tls", "on" if tls else "off", token=TOKEN) as running:
            push(running.host, model)
            measure(running.host, image, 1.0)
            quiet = measure(running.host, image, 2 * seconds)
            rows.append(_row(tls, "nobody", 0, quiet, quiet))
            for kind, count in itertools.product(SENT, counts):
                with crowd(running.host, kind, count, arguments.returns, tls=tls):
                    seen = measure(running.host, image, seconds)
                rows.append(_row(tls, kind, count, seen, quiet))
                held = held and _held(seen, quiet)
                print(*seen.faults[:3], sep="\n", file=sys.stderr)
    header = ["", "strangers", "", "p99 ms", "longest ms", "of quiet p99", "liveness ms", "job", "faults"]
    print(table(header, rows))
    return 0 if held else 1


def _held(seen: Seen, quiet: Seen) -> bool:
    waited = max(seen.took_ms) <= WAIT_FACTOR * p99(quiet.took_ms)
    return not seen.faults and waited and max(seen.liveness_ms) < LIVENESS_MAX_MS


def _row(tls: bool, kind: str, count: int, seen: Seen, quiet: Seen) -> list[str]:
    longest = max(seen.took_ms)
    figures = [f"{p99(seen.took_ms):.0f}", f"{longest:.0f}", f"{longest / p99(quiet.took_ms):.2f}"]
    figures += [f"{max(seen.liveness_ms):.0f}", *seen.jobs, str(len(seen.faults))]
    return ["TLS" if tls else "plain", kind, str(count), *figures]


if __name__ == "__main__":
    sys.exit(main())

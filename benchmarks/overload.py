"""What is still answered when far more clients ask than the device can serve, with and without TLS.

wrk posts parrot.jpg from 1 to 300 clients that never pause, to the agent and to a bare uvicorn with a thread pool
(benchmarks/bare_server.py), turn by turn. Answered are replies with 200 alone; latencies are theirs alone.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import Supplied, agent, push, require_wrk, supplied, table
from server.http.tls import ensure_certificate

CLIENTS = (1, 4, 16, 48, 128, 300)
OVERLOADED = (48, 128, 300)
SHARE_MIN = 0.9
"""Of the most that is answered at any number of clients, so much must be answered under overload."""
TOKEN = "a token that only benchmarks use"
WARM_UP_S = 1.5
"""Answers that come so soon after the start are not counted: everybody connects at once."""
SAMPLE_INTERVAL_S = 0.25
SCRIPT = Path(__file__).with_suffix(".lua")


@dataclass(frozen=True)
class Overload:
    """What wrk saw, and what the server held at most."""

    answered: int
    refused: int
    broken: int
    """Connections that failed: refused, cut off, or without an answer in time."""
    duration_s: float
    p50_ms: float
    p99_ms: float
    pss_mib: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answered / self.duration_s if self.duration_s > 0 else 0.0


@dataclass(frozen=True)
class Server:
    """Something that takes pictures."""

    url: str
    pid: int


def pss_bytes(pid: int) -> int:
    """Memory of a process and its descendants, each shared page counted once between them."""
    total = 0
    for each in [pid, *descendants(pid)]:
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def descendants(pid: int) -> list[int]:
    """Process ids of children and theirs."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (child, *descendants(child))]


@contextmanager
def peak_pss(pid: int) -> Iterator[list[int]]:
    """The most memory held within the block, as the only entry of a list."""
    peak, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_INTERVAL_S):
            peak[0] = max(peak[0], pss_bytes(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def overload(server: Server, image: Path, clients: int, seconds: float) -> Overload:
    """Post a picture from so many clients that never pause."""
    command = [
        "wrk",
        "-t1",
        f"-c{clients}",
        f"-d{math.ceil(seconds + WARM_UP_S)}s",
        "--timeout",
        "60s",
        "-s",
        str(SCRIPT),
    ]
    variables = {"PICTURE": str(image), "TOKEN": TOKEN, "WARM_UP_S": str(WARM_UP_S)}
    with peak_pss(server.pid) as peak:
        done = subprocess.run(
            [*command, f"{server.url}/v1/classify"],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
    line = next(line for line in done.stdout.splitlines() if line.startswith("JSON "))
    return Overload(**json.loads(line.removeprefix("JSON ")), pss_mib=peak[0] / (1 << 20))


@contextmanager
def our_agent(model: Supplied, *, tls: bool) -> Iterator[Server]:
    """An agent with a token and the supplied model."""
    with agent("--tls", "on" if tls else "off", token=TOKEN) as running:
        push(running.host, model)
        yield Server(running.host.url, running.process.pid)


@contextmanager
def bare_server(model: Supplied, *, tls: bool) -> Iterator[Server]:
    """A plain uvicorn with a thread pool."""
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder, "port")
        arguments = [str(model.model), str(port_file)]
        if tls:
            certificate = ensure_certificate(Path(folder))
            arguments += [str(certificate.certificate_path), str(certificate.key_path)]
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bare_server", *arguments], stderr=subprocess.DEVNULL
        )
        try:
            while not (port_file.exists() and port_file.read_text()):
                time.sleep(0.01)
            yield Server(f"{'https' if tls else 'http'}://127.0.0.1:{port_file.read_text()}", process.pid)
        finally:
            process.terminate()
            process.wait()


def main() -> int:
    """Measure and print the tables. Ends with 1 when too little is answered under overload."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    parser.add_argument("--clients", default=",".join(map(str, CLIENTS)))
    parser.add_argument("--tls", choices=("off", "on", "both"), default="both")
    parser.add_argument("--without-bare", action="store_true", help="measure the agent alone")
    arguments = parser.parse_args()
    require_wrk()
    model, held = supplied(), True
    clients = [int(number) for number in arguments.clients.split(",")]
    for tls in (False, True):
        if arguments.tls in ("both", "on" if tls else "off"):
            measured = _measure(model, clients, arguments.seconds, tls=tls, bare=not arguments.without_bare)
            print(f"{'with' if tls else 'without'} TLS\n{_report(measured)}\n", flush=True)
            held = held and all(share >= SHARE_MIN for share in _shares(measured["agent"]).values())
    return 0 if held else 1


Measured = dict[str, dict[int, Overload]]


def _measure(model: Supplied, clients: list[int], seconds: float, *, tls: bool, bare: bool) -> Measured:
    with ExitStack() as stack:
        servers = {"agent": stack.enter_context(our_agent(model, tls=tls))}
        if bare:
            servers["bare uvicorn"] = stack.enter_context(bare_server(model, tls=tls))
        for server in servers.values():
            overload(server, model.image, 4, 1.0)
        measured: Measured = {name: {} for name in servers}
        for number in clients:
            for name, server in servers.items():
                measured[name][number] = overload(server, model.image, number, seconds)
        return measured


def _shares(loads: dict[int, Overload]) -> dict[int, float]:
    """What is answered under overload as a share of the most."""
    peak = max(load.per_second for load in loads.values())
    return {clients: load.per_second / peak for clients, load in loads.items() if clients in OVERLOADED}


def _report(measured: Measured) -> str:
    header = ["", "clients", "answered/s", "of its peak", "p50 ms", "p99 ms", "refused", "broken", "peak PSS MiB"]
    rows = []
    for name, loads in measured.items():
        peak = max(load.per_second for load in loads.values())
        for clients, load in loads.items():
            figures = [f"{load.per_second:.1f}", f"{load.per_second / peak:.2f}"]
            figures += [f"{load.p50_ms:.0f}", f"{load.p99_ms:.0f}", str(load.refused), str(load.broken)]
            rows.append([name, str(clients), *figures, f"{load.pss_mib:.0f}"])
    return table(header, rows)


if __name__ == "__main__":
    sys.exit(main())

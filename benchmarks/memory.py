"""How much memory an agent with two workers holds, process by process, and in what kind of pages.

The agent has a token and TLS and the supplied MobileNetV2 as its default model. It is measured once its workers are
up and hold that model, after classifications of parrot.jpg by concurrent clients, and when it is idle again. PSS
counts a page that several processes map in equal parts to each (man proc_pid_smaps), so that the sum over the
processes counts it once; pages of files that other programs use too count less, so run it alone.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import agent, push, supplied, table
from benchmarks.overload import TOKEN, descendants
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from server.workers.main import IDLE_S

AIM_MIB = 150.0
WORKERS = 2
SETTLE_S = 1.5
KIB_PER_MIB = 1024
KINDS = {"Pss_Anon": "anonymous", "Pss_File": "file", "Pss_Shmem": "shared memory"}
"""By its name in smaps_rollup, a kind of page: without a file behind it, of a file, of a memory file such as the one
that pictures are received into."""


@dataclass(frozen=True)
class Held:
    """Memory of one process, in MiB."""

    name: str
    rss: float
    pss: float
    private: float
    """Resident pages that no other process maps."""
    kinds: dict[str, float]
    """PSS by kind of page."""


def main() -> int:
    """Measure and print; ends with 1 when the agent holds more than the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--mappings", type=int, default=0, metavar="N", help="list the N largest mappings too")
    arguments = parser.parse_args()
    model = supplied()
    picture = model.image.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        with agent(data=Path(folder), token=TOKEN) as running:
            push(running.host, model)
        with agent("--workers", str(WORKERS), data=Path(folder), token=TOKEN) as running:
            _wait_for_workers(running.host)
            _print("after the start", running.process.pid, arguments.mappings)
            _classify(running.host, picture, arguments.requests, arguments.clients)
            total = _print(
                f"after {arguments.requests} pictures from {arguments.clients} clients",
                running.process.pid,
                arguments.mappings,
            )
            time.sleep(IDLE_S + SETTLE_S)
            _print("idle again", running.process.pid, arguments.mappings)
    print(f"the aim is at most {AIM_MIB:.0f} MiB PSS: {'reached' if total <= AIM_MIB else 'missed'}")
    return 0 if total <= AIM_MIB else 1


def held_by(pid: int) -> Held:
    """Memory of one process; raises OSError when it is gone."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    mib = {words[0].rstrip(":"): int(words[1]) / KIB_PER_MIB for words in lines}
    return Held(
        _name(pid),
        mib["Rss"],
        mib["Pss"],
        mib["Private_Clean"] + mib["Private_Dirty"],
        {title: mib[key] for key, title in KINDS.items()},
    )


def _name(pid: int) -> str:
    return f"{Path(f'/proc/{pid}/comm').read_text().strip()} {pid}"


def _wait_for_workers(host: Host) -> None:
    with EdgeClient(host) as client:
        while sum(runtime.workers for runtime in client.info().runtimes) < WORKERS:
            time.sleep(0.05)
    time.sleep(SETTLE_S)  # the second worker still loads the model


def _classify(host: Host, picture: bytes, requests: int, clients: int) -> None:
    def one_client(number: int) -> None:
        with EdgeClient(host) as client:
            for _ in range(number, requests, clients):
                client.classify(picture)

    with ThreadPoolExecutor(clients) as threads:
        for done in [threads.submit(one_client, number) for number in range(clients)]:
            done.result()


def _print(when: str, pid: int, mappings: int) -> float:
    """Print what the agent and all below it hold; gives the sum of PSS in MiB."""
    processes = [pid, *descendants(pid)]
    held = [held_by(each) for each in processes]
    total = Held(
        "together",
        rss=sum(each.rss for each in held),
        pss=sum(each.pss for each in held),
        private=sum(each.private for each in held),
        kinds={kind: sum(each.kinds[kind] for each in held) for kind in KINDS.values()},
    )
    header = ["MiB", "PSS", *(f"of it {kind}" for kind in KINDS.values()), "RSS", "private"]
    rows = [
        [each.name, *(f"{value:.1f}" for value in (each.pss, *each.kinds.values(), each.rss, each.private))]
        for each in [*held, total]
    ]
    print(f"{when}\n{table(header, rows)}\n", flush=True)
    if mappings:
        print(f"{_largest_mappings(processes, mappings)}\n", flush=True)
    return total.pss


def _largest_mappings(processes: Sequence[int], most: int) -> str:
    """PSS by what is mapped, over all processes together."""
    found: Counter[str] = Counter()
    for pid in processes:
        what = ""
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            words = line.split(maxsplit=5)
            if not words[0].endswith(":"):  # a mapping: its addresses, permissions, offset, device, inode, and path
                what = Path(words[5]).name if len(words) > 5 else "anonymous"
            elif words[0] == "Pss:":
                found[what] += int(words[1])
    return table(["mapping", "PSS MiB"], [[what, f"{kib / KIB_PER_MIB:.1f}"] for what, kib in found.most_common(most)])


if __name__ == "__main__":
    sys.exit(main())

"""How soon an agent that holds a 4 MB model is ready to answer, and how much memory it and one idle worker hold."""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.common import agent, push, supplied, table, workers_of
from client.sdk.edge_client import EdgeClient

MIB = 1 << 20


def main() -> None:
    """Start the agent several times on a folder that holds the model; print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    model = supplied()
    image = model.image.read_bytes()
    rows: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        with agent("--workers", "1", data=Path(folder)) as running:
            push(running.host, model)
        for _ in range(arguments.rounds):
            with agent("--workers", "1", data=Path(folder)) as running:
                ready_s = time.monotonic() - running.started
                with EdgeClient(running.host) as client:
                    reply = client.classify(image).reply
                    answered_s = time.monotonic() - running.started
                    assert reply.model.name == model.pulled.entry.name
                    time.sleep(1)
                    (worker,) = workers_of(running.process.pid)
                    sizes = [_resident_mib(running.process.pid), _resident_mib(worker)]
                rows.append((ready_s, answered_s, *sizes, sum(sizes)))
    names = ["ready s", "first answer s", "agent MiB", "worker MiB", "together MiB"]
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    most = [max(column) for column in zip(*rows, strict=True)]
    print(
        table(
            ["", *names],
            [[title, *(f"{v:.2f}" for v in each)] for title, each in (("median", medians), ("most", most))],
        )
    )


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / MIB


if __name__ == "__main__":
    main()

"""Kill workers with SIGKILL under load: how many answers each costs, and how long until the next one comes."""

import argparse
import os
import random
import signal
import statistics
import threading
import time
from collections import Counter

from benchmarks.common import agent, push, supplied, table, workers_of
from client.errors import Answered, EdgeError
from client.sdk.edge_client import EdgeClient


def main() -> None:
    """Load the agent from several clients, kill a worker now and then, and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", default="auto")
    arguments = parser.parse_args()
    model = supplied()
    image = model.image.read_bytes()
    outcomes: Counter[str] = Counter()
    answered_at: list[float] = []
    stop = threading.Event()
    with agent("--workers", arguments.workers) as running:
        push(running.host, model)

        def client_loop() -> None:
            with EdgeClient(running.host, retries=0) as client:
                while not stop.is_set():
                    try:
                        client.classify(image)
                        outcomes["answered"] += 1
                        answered_at.append(time.monotonic())
                    except EdgeError as error:
                        outcomes[str(error.problem.code) if isinstance(error, Answered) else type(error).__name__] += 1

        threads = [threading.Thread(target=client_loop) for _ in range(arguments.clients)]
        for thread in threads:
            thread.start()
        killed_at = [_kill_one(running.process.pid) for _ in range(arguments.kills)]
        time.sleep(2)
        stop.set()
        for thread in threads:
            thread.join()
        survived = running.process.poll() is None
    gaps = [min(at for at in answered_at if at > killed) - killed for killed in killed_at]
    print(table(["outcome", "requests"], sorted(outcomes.items())))
    print(f"\n{arguments.kills} workers killed; the agent's own process {'survived' if survived else 'DIED'}")
    print(f"next answer after {statistics.median(gaps):.3f} s (median), {max(gaps):.3f} s (most)")


def _kill_one(agent_pid: int) -> float:
    time.sleep(random.uniform(0.5, 1.0))
    if workers := workers_of(agent_pid):
        os.kill(random.choice(workers), signal.SIGKILL)
    return time.monotonic()


if __name__ == "__main__":
    main()

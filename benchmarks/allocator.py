"""What `keep_freed_memory` gains: the agent with it and without it, in turn, under the same load."""

import argparse
import statistics
import sys
from pathlib import Path

from benchmarks.common import BIN, agent, load, push, require_wrk, supplied, table

WITHOUT = "import server.cli; server.cli.keep_freed_memory = lambda: None; raise SystemExit(server.cli.main())"
COMMANDS = {"with": [str(BIN / "server")], "without": [sys.executable, "-c", WITHOUT]}
CLIENTS = 4


def main() -> None:
    """Alternate both and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    require_wrk()
    model = supplied()
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(arguments.rounds):
        for name, command in COMMANDS.items():
            with agent(command=command) as running:
                push(running.host, model)
                load(running.host, model.image, CLIENTS, 1.0)
                before = _cpu_ms(running.process.pid)
                seen = load(running.host, model.image, CLIENTS, arguments.seconds)
                used = _cpu_ms(running.process.pid) - before
                results[name].append((seen.per_second, used / seen.requests))
    rows = []
    for name, each in results.items():
        per_second, cpu_ms = (statistics.median(values) for values in zip(*each, strict=True))
        rows.append([name, f"{per_second:.1f}", f"{cpu_ms:.3f}"])
    print(table(["keep_freed_memory", "pictures/s", "CPU ms a picture in the agent's own process"], rows))


def _cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10.0


if __name__ == "__main__":
    main()

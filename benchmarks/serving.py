"""Pictures a second of the agent against the same work in bare loops on all cores, in one run.

Rounds alternate between the bare loops and the agent at 1, 4 and 16 concurrent clients, so that a machine whose
speed drifts shows as noise and not as a ratio. The bare loops call the same functions on the same runtime, and decode
every pixel: parrot.jpg is not large enough to be decoded reduced but with decode=fastest, which the agent does last.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from benchmarks.common import Load, Supplied, agent, load, push, require_wrk, supplied, table

CLIENTS = (1, 4, 16)
START_DELAY_S = 3.0
"""Time for the bare loops to import and warm up before they all begin."""

Loop = tuple[float, float, float]
"""Pictures a second, p50 and p99 in milliseconds."""


def bare_loops(model: Supplied, count: int, seconds: float) -> Loop:
    """So many processes, each classifying the picture over and over."""
    start = time.monotonic() + START_DELAY_S
    arguments = [str(model.model), str(model.image), str(start), str(seconds)]
    command = [sys.executable, "-m", "benchmarks.bare", *arguments]
    loops = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(count)
    ]
    took_ms = sorted(took for each in loops for took in json.loads(each.communicate()[0]))
    return len(took_ms) / seconds, statistics.median(took_ms), took_ms[int(0.99 * (len(took_ms) - 1))]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--json", action="store_true", help="print every round as JSON instead of the table")
    arguments = parser.parse_args()
    require_wrk()
    model = supplied()
    cores = len(os.sched_getaffinity(0))
    rounds = [_round(model, cores, arguments.seconds, arguments.workers) for _ in range(arguments.rounds)]
    print(json.dumps(rounds, default=vars) if arguments.json else _report(rounds, cores))


def _round(model: Supplied, cores: int, seconds: float, workers: str) -> dict[str, Loop | Load]:
    measured: dict[str, Loop | Load] = {
        "one loop": bare_loops(model, 1, seconds),
        "loops": bare_loops(model, cores, seconds),
    }
    with agent("--workers", workers) as running:
        push(running.host, model)
        load(running.host, model.image, 4, 1.0)
        for clients in CLIENTS:
            measured[f"agent {clients}"] = load(running.host, model.image, clients, seconds)
        measured["fastest"] = load(running.host, model.image, max(CLIENTS), seconds, "?decode=fastest")
    return measured


def _report(rounds: list[dict[str, Loop | Load]], cores: int) -> str:
    def median(name: str, value: str) -> float:
        return statistics.median(_value(each[name], value) for each in rounds)

    def ratio(name: str) -> str:
        ratios = [_value(each[name], "per_second") / _value(each["loops"], "per_second") for each in rounds]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"

    titles = {"one loop": "one bare loop", "loops": f"{cores} bare loops"}
    titles |= {f"agent {clients}": f"agent, {clients} clients" for clients in CLIENTS}
    titles["fastest"] = f"agent, {max(CLIENTS)} clients, decode=fastest"
    rows = [
        [title, *(f"{median(name, value):.1f}" for value in ("per_second", "p50_ms", "p99_ms")), ratio(name)]
        for name, title in titles.items()
    ]
    header = ["", "pictures/s", "p50 ms", "p99 ms", "ratio to bare loops"]
    errors = sum(each.errors for measured in rounds for each in measured.values() if isinstance(each, Load))
    lone = median("agent 1", "p50_ms") / median("one loop", "p50_ms")
    notes = [
        f"{len(rounds)} rounds, medians (least-most); {errors} requests failed",
        f"p50 at 1 client is {lone:.2f} of the single bare loop's",
    ]
    return "\n".join([table(header, rows), "", *notes])


def _value(measured: Loop | Load, name: str) -> float:
    if isinstance(measured, Load):
        return float(getattr(measured, name))
    return dict(zip(("per_second", "p50_ms", "p99_ms"), measured, strict=True))[name]


if __name__ == "__main__":
    main()

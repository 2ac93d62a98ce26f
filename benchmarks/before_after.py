"""Pictures a second of the agent of this checkout against that of another one, such as the commit before a change.

Both run at the same time and are asked in turn, first one first, then the other, so that a machine whose speed drifts
moves both. The other checkout needs its own environment: `git worktree add ../before COMMIT`, `scripts/setup` there.

With this checkout itself as the other one the ratio at 16 clients was 0.98: measure that first, and compare with it.
"""

import argparse
import statistics
from pathlib import Path

from benchmarks.common import BIN, BenchmarkedAgent, Load, Supplied, agent, load, push, require_wrk, supplied, table


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    require_wrk()
    model = supplied()
    other = (str(arguments.other / ".venv" / "bin" / "server"),)
    with agent(command=other) as before, agent(command=(str(BIN / "server"),)) as after:
        for each in (before, after):
            push(each.host, model)
            load(each.host, model.image, 4, 1.0)
        rows = []
        for clients in arguments.clients:
            rounds = [
                _round((before, after), model, clients, arguments.seconds, turned=bool(number % 2))
                for number in range(arguments.rounds)
            ]
            rows.append(_row(clients, rounds))
    print(table(["clients", "before /s", "after /s", "before p99 ms", "after p99 ms", "ratio (least-most)"], rows))


def _round(
    agents: tuple[BenchmarkedAgent, BenchmarkedAgent], model: Supplied, clients: int, seconds: float, *, turned: bool
) -> tuple[Load, Load]:
    found = [load(each.host, model.image, clients, seconds) for each in (agents[::-1] if turned else agents)]
    first, second = found[::-1] if turned else found
    return first, second


def _row(clients: int, rounds: list[tuple[Load, Load]]) -> list[object]:
    ratios = [after.per_second / before.per_second for before, after in rounds]
    rates = [statistics.median(each[side].per_second for each in rounds) for side in (0, 1)]
    tails = [statistics.median(each[side].p99_ms for each in rounds) for side in (0, 1)]
    ratio = f"{statistics.median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})"
    return [clients, *(f"{value:.1f}" for value in (*rates, *tails)), ratio]


if __name__ == "__main__":
    main()

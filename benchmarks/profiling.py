"""How much of a run do the operators explain, by LiteRT's profiler and by single-operator models?

Every way of timing operators on the supplied model, through an agent. Explained is the sum of the operators' mean
times over the mean of the whole. Operators are ranked by their median times, those of a delegate counted for the
file's; the same five means that each of them is among the other's, or ties with its fifth.
"""

import argparse
from dataclasses import dataclass

from benchmarks.common import agent, push, supplied, table, wait_for_job
from client.analysis.operators import align_operators
from contract.jobs import ProfileRequest
from contract.results import ProfileResult
from contract.specs import Kernels, ProfileMethod, ProfileSpec
from image_model.catalog import PREFERRED_MODEL

ITERATIONS = {"litert": 400, "tflite": 40}
TOP = 5
TIE = 0.97
"""Operators this close do the same work: their order changes from run to run."""
NATIVE, SINGLE = ProfileMethod.NATIVE, ProfileMethod.SINGLE_OPERATOR


@dataclass(frozen=True)
class Case:
    """One way of profiling."""

    runtime: str
    kernels: Kernels
    method: ProfileMethod

    def request(self) -> ProfileRequest:
        """What is asked of the agent."""
        iterations = ITERATIONS[self.runtime]
        return ProfileRequest(
            spec=ProfileSpec(
                model=PREFERRED_MODEL,
                runtime=self.runtime,
                kernels=self.kernels,
                method=self.method,
                iterations=iterations,
            )
        )


CASES = (
    Case("litert", Kernels.DEFAULT, NATIVE),
    Case("litert", Kernels.DEFAULT, SINGLE),
    Case("litert", Kernels.BUILTIN, NATIVE),
    Case("litert", Kernels.BUILTIN, SINGLE),
    Case("tflite", Kernels.DEFAULT, SINGLE),
)


def main() -> None:
    """Profile in every way and print what each finds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    model = supplied()
    with agent("--workers", "1") as running:
        push(running.host, model)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}")
            found = {}
            for case in CASES:
                result = wait_for_job(running.host, case.request())
                assert isinstance(result, ProfileResult)
                found[case] = result
            _print(found)


def _print(found: dict[Case, ProfileResult]) -> None:
    rows = []
    for case, result in found.items():
        assert result.latency is not None
        assert result.explained is not None
        native = found.get(Case(case.runtime, case.kernels, NATIVE))
        points = largest = same = ""
        if native is not None and native is not result and native.explained is not None:
            points = f"{100 * (result.explained - native.explained):+.1f}"
            largest = f"{100 * _largest_difference(native, result):.1f}"
            same = "yes" if _within_top(native, result) and _within_top(result, native) else "no"
        explained = f"{100 * result.explained:.1f} %"
        top = " ".join(map(str, _top(result)))
        rows.append(
            (
                *(case.runtime, case.kernels, case.method, f"{result.latency.p50_ms:.2f}", explained),
                *(points, largest, top, same, result.validity.verdict),
            )
        )
    header = ("runtime", "kernels", "method", "ms", "explained", "points apart", "largest share apart", "top five")
    print(table((*header, "same five", "verdict"), rows), end="\n\n")


def _shares(result: ProfileResult) -> dict[int, float]:
    """Share of each of the file's operators in the sum of all."""
    medians = [operator.model_copy(update={"mean_us": operator.p50_us}) for operator in result.operators]
    lines = align_operators([result.model_copy(update={"operators": medians})])
    times = {line.index: cell.mean_us for line in lines if (cell := line.cells[0]) is not None}
    whole = sum(times.values())
    return {index: took / whole for index, took in times.items() if index is not None}


def _top(result: ProfileResult) -> list[int]:
    shares = _shares(result)
    return sorted(shares, key=lambda index: -shares[index])[:TOP]


def _within_top(one: ProfileResult, other: ProfileResult) -> bool:
    """Whether the slowest of one are among the slowest of the other, or as slow as the last of them."""
    shares = _shares(other)
    least = TIE * shares[_top(other)[-1]]
    return all(shares[index] >= least for index in _top(one))


def _largest_difference(left: ProfileResult, right: ProfileResult) -> float:
    one, other = _shares(left), _shares(right)
    return max(abs(one[index] - other[index]) for index in one)


if __name__ == "__main__":
    main()

"""What a profile found, operator by operator, as the result carries it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.profilers.base import Executed
from server.statistics import NEEDED
from server.tflite.facts import GraphFacts, OperatorFacts

FACTS = ("kind", "output", "output_shape", "output_dtype", "macs", "parameters", "weight_bytes", "activation_bytes")

Times = NDArray[np.float32]


def operator_rows(
    facts: GraphFacts | None, executed: Sequence[Executed], times: Times, whole_us: Times, rated_from_us: float
) -> list[dict[str, Any]]:
    """A row an executed operator; `times` [iterations, operators] and `whole_us` [iterations] in microseconds.

    Below `rated_from_us` a mean is too coarse for a rate.
    """
    whole = float(whole_us.mean()) or 1.0
    means = times.mean(axis=0, dtype=np.float64)
    reached = _cumulative(means / whole)
    rows = []
    for number, operator in enumerate(executed):
        fact = facts.operators[operator.index] if facts is not None and operator.index is not None else None
        mean = float(means[number])
        rows.append(
            {
                "number": number,
                "name": operator.name,
                "delegated": operator.delegated,
                "kernel": operator.kernel,
                "operator": operator.index,
                **_facts(fact),
                **_file_facts(operator, fact),
                **_statistics(times[:, number]),
                "mean_us": mean,
                "share": mean / whole,
                "cumulative_share": float(reached[number]),
                "gflops": _gflops(fact, mean) if mean >= rated_from_us else None,
            }
        )
    return rows


def _facts(fact: OperatorFacts | None) -> dict[str, Any]:
    known = asdict(fact) if fact is not None else {}
    return {name: known.get(name) for name in (*FACTS, "live_bytes")}


def _file_facts(operator: Executed, fact: OperatorFacts | None) -> dict[str, Any]:
    """What the runtime says of an operator whose facts are not known."""
    if fact is not None:
        return {}
    return {"output_shape": operator.output_shape, "output_dtype": operator.output_dtype}


def _statistics(column: Times) -> dict[str, Any]:
    calls = len(column)
    return {
        "calls": calls,
        "std_us": float(column.std(ddof=1, dtype=np.float64)) if calls > 1 else None,
        "p50_us": float(np.percentile(column, 50)),
        "p95_us": float(np.percentile(column, 95)) if calls >= NEEDED[95] else None,
    }


def _gflops(fact: OperatorFacts | None, mean_us: float) -> float | None:
    return 2 * fact.macs / mean_us / 1e3 if fact is not None and fact.macs else None


def _cumulative(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of each share and all larger ones."""
    order = np.argsort(-shares, kind="stable")
    reached = np.empty_like(shares)
    reached[order] = np.cumsum(shares[order])
    return reached


def graph_row(facts: GraphFacts | None) -> dict[str, Any]:
    """Facts of the whole graph; none of a file whose facts are not known."""
    if facts is None:
        return {}
    return {
        "macs": sum(operator.macs for operator in facts.operators),
        "parameters": sum(operator.parameters for operator in facts.operators),
        "weight_bytes": sum(operator.weight_bytes for operator in facts.operators),
        "peak_activation_bytes": facts.peak_bytes,
        "peak_operator": facts.peak_operator,
    }

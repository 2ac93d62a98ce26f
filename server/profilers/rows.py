"""What a profile found, operator by operator, as the result carries it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.results import ModelFacts, OperatorProfile
from contract.shares import cumulative_shares
from server.profilers.base import Executed
from server.statistics import NEEDED
from server.tflite.facts import GraphFacts, OperatorFacts

Times = NDArray[np.float32]


def operator_rows(
    facts: GraphFacts | None, executed: Sequence[Executed], times: Times, whole_us: Times, rated_from_us: float
) -> list[OperatorProfile]:
    """A row an executed operator; `times` [iterations, operators] and `whole_us` [iterations] in microseconds.

    Below `rated_from_us` a mean is too coarse for a rate.
    """
    whole = float(whole_us.mean()) or 1.0
    shares = times.mean(axis=0, dtype=np.float64) / whole
    reached = cumulative_shares(shares.tolist())
    rows = []
    for number, operator in enumerate(executed):
        fact = facts.operators[operator.index] if facts is not None and operator.index is not None else None
        row = _row(number, operator, fact, times[:, number])
        row.share, row.cumulative_share = float(shares[number]), reached[number]
        row.gflops = _gflops(fact, row.mean_us) if row.mean_us >= rated_from_us else None
        rows.append(row)
    return rows


def _row(number: int, operator: Executed, fact: OperatorFacts | None, took_us: Times) -> OperatorProfile:
    """What the file says of an operator, or else the runtime, and what its own times say."""
    calls = len(took_us)
    shape = fact.output_shape if fact is not None else operator.output_shape
    return OperatorProfile(
        number=number,
        name=operator.name,
        delegated=operator.delegated,
        kernel=operator.kernel,
        operator=operator.index,
        kind=fact.kind if fact else None,
        output=fact.output if fact else None,
        output_shape=list(shape) if shape is not None else None,
        output_dtype=fact.output_dtype if fact is not None else operator.output_dtype,
        calls=calls,
        mean_us=float(took_us.mean(dtype=np.float64)),
        std_us=float(took_us.std(ddof=1, dtype=np.float64)) if calls > 1 else None,
        p50_us=float(np.percentile(took_us, 50)),
        p95_us=float(np.percentile(took_us, 95)) if calls >= NEEDED[95] else None,
        share=0.0,
        cumulative_share=0.0,
        macs=fact.macs if fact else None,
        parameters=fact.parameters if fact else None,
        weight_bytes=fact.weight_bytes if fact else None,
        activation_bytes=fact.activation_bytes if fact else None,
        live_bytes=fact.live_bytes if fact else None,
        gflops=None,
    )


def _gflops(fact: OperatorFacts | None, mean_us: float) -> float | None:
    return 2 * fact.macs / mean_us / 1e3 if fact is not None and fact.macs else None


def model_facts(
    facts: GraphFacts | None, arena_bytes: int | None, resident_bytes: int | None, peak_bytes: int | None
) -> ModelFacts:
    """What a model takes: by its file, as far as that is known, and by the process before and after loading it."""
    found = ModelFacts(
        arena_bytes=arena_bytes, resident_before_load_bytes=resident_bytes, peak_resident_bytes=peak_bytes
    )
    if facts is not None:
        found.macs = sum(operator.macs for operator in facts.operators)
        found.parameters = sum(operator.parameters for operator in facts.operators)
        found.weight_bytes = sum(operator.weight_bytes for operator in facts.operators)
        found.peak_activation_bytes, found.peak_operator = facts.peak_bytes, facts.peak_operator
    return found

"""Profiles as the report shows them."""

from collections.abc import Sequence
from itertools import combinations

from client.analysis.operators import OperatorLine, Share, align_operators
from client.report.configurations import reasons
from client.report.model import Layer, LayerCell, LayerComparison, LayerLine, Profile
from contract.results import OperatorProfile, ProfileResult

MIB = 1024 * 1024
COMPARED_MAX = 6
"""Profiles of which any two can stand side by side; the page grows with their square."""


def comparisons(results: Sequence[ProfileResult]) -> list[LayerComparison]:
    """Every pair of profiles, aligned as `client compare` does."""
    pairs = combinations(range(min(len(results), COMPARED_MAX)), 2)
    return [_comparison(first, second, results[first], results[second]) for first, second in pairs]


def _comparison(first: int, second: int, a: ProfileResult, b: ProfileResult) -> LayerComparison:
    lines = [_line(line) for line in align_operators([a, b])]
    return LayerComparison(first=first, second=second, same_model=a.model_digest == b.model_digest, lines=lines)


def _line(line: OperatorLine) -> LayerLine:
    shape = "x".join(map(str, line.shape or ()))
    a, b = line.cells
    return LayerLine(number=line.index, name=line.kind, shape=shape, cells=(_cell(a), _cell(b)))


def _cell(share: Share | None) -> LayerCell | None:
    if share is None:
        return None
    return LayerCell(mean_us=share.mean_us, share=share.share, executed_as=" + ".join(share.executed_as))


def profile(number: int, name: str, host: str | None, result: ProfileResult) -> Profile:
    """One profile; `name` is what the user calls it."""
    kernels = getattr(result.spec, "kernels", None)
    words = [f"{result.runtime} {result.runtime_version}", f"{kernels} kernels" if kernels else ""]
    words.append(f"{result.threads} thread{'s' * (result.threads != 1)}")
    return Profile(
        id=number,
        name=name,
        host=host,
        model=result.model,
        model_digest=result.model_digest,
        method=result.method,
        method_detail=result.method_detail,
        description=", ".join(word for word in words if word),
        verdict=result.validity.verdict.value,
        reasons=reasons(result.validity),
        iterations=result.iterations,
        mean_ms=result.latency.mean_ms if result.latency else None,
        plain_p50_ms=result.plain_p50_ms,
        explained=result.explained,
        unattributed_us=result.unattributed_us,
        facts=_facts(result),
        layers=[_layer(operator) for operator in result.operators],
    )


def _facts(result: ProfileResult) -> dict[str, str]:
    found = {
        "load": f"{result.load_ms:.2f} ms",
        "first inference": f"{result.first_inference_ms:.2f} ms",
    }
    if result.peak_resident_bytes is not None:
        found["resident memory at most"] = f"{result.peak_resident_bytes / MIB:.1f} MiB"
    if result.arena_bytes is not None:
        found["arena of built-in kernels"] = f"{result.arena_bytes / 1024:.0f} KiB"
    if result.macs is None or result.weight_bytes is None or result.peak_activation_bytes is None:  # not a TFLite file
        return found
    peak = f"{result.peak_activation_bytes / 1024:.0f} KiB (at operator {result.peak_operator})"
    return {
        "multiply-accumulates": f"{result.macs / 1e6:.1f} M",
        "parameters": str(result.parameters),
        "weights": f"{result.weight_bytes / 1e6:.2f} MB",
        "activations at most": peak,
        **found,
    }


def _layer(operator: OperatorProfile) -> Layer:
    shape = "x".join(map(str, operator.output_shape or []))
    return Layer(
        number=operator.number,
        name=operator.kind or operator.name,
        executed_as=operator.kernel or (operator.name if operator.delegated else "built-in kernel"),
        operator=operator.operator,
        kind=operator.kind,
        output=operator.output,
        shape=f"{shape} {operator.output_dtype or ''}".strip(),
        mean_us=operator.mean_us,
        std_us=operator.std_us,
        p50_us=operator.p50_us,
        share=operator.share,
        macs=operator.macs,
        parameters=operator.parameters,
        activation_bytes=operator.activation_bytes,
        gflops=operator.gflops,
    )

"""Profiles as the report shows them."""

from client.report.configurations import reasons
from client.report.model import Layer, Profile
from contract.results import OperatorProfile, ProfileResult


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
        executed_as=operator.name if operator.delegated or operator.name != operator.kind else "built-in kernel",
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

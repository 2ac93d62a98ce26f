"""Which way of timing operators a job takes."""

from server.profilers.base import MethodUnavailable, Profiler
from server.profilers.order import ProfileOrder
from server.profilers.single import SingleOperatorProfiler
from server.runtimes.base import ModelFiles
from server.runtimes.selection import CPU
from server.tflite.facts import GraphFacts

NATIVE, SINGLE_OPERATOR = "native", "single-operator"


def open_profiler(order: ProfileOrder, files: ModelFiles, facts: GraphFacts | None) -> Profiler:
    """The way asked for, else the runtime's own profiler where it works, else single operators.

    `facts` are None for files that are not TFLite. Raises MethodUnavailable, ModelFault.
    """
    if order.runtime == "openvino":
        from server.profilers.openvino import OpenVinoProfiler

        return OpenVinoProfiler(order, files, facts)
    if order.runtime == "onnx":
        from server.profilers.onnx import OnnxProfiler

        return OnnxProfiler(order, files)
    if order.device != CPU:
        raise MethodUnavailable(f"operators of {order.runtime} are timed on the {CPU} only, not on {order.device}")
    if order.method == SINGLE_OPERATOR or order.runtime != "litert":
        return SingleOperatorProfiler(order, files.content)
    assert facts is not None
    try:
        return _native(order, files.content, facts)
    except MethodUnavailable as reason:
        if order.method == NATIVE:
            raise
        profiler = SingleOperatorProfiler(order, files.content)
        profiler.detail = f"instead of the native profiler: {reason}"
        return profiler


def _native(order: ProfileOrder, content: bytes, facts: GraphFacts) -> Profiler:
    from server.profilers.native import NativeProfiler, survives, trial_command

    profiler = NativeProfiler(order, content, [operator.kind for operator in facts.operators])
    survives(trial_command(order))
    return profiler

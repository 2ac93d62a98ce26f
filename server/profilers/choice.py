"""Which way of timing operators a job takes."""

from importlib import import_module

from server.profilers.base import MethodUnavailable, Profiler
from server.profilers.order import ProfileOrder
from server.runtimes import profilers_of
from server.runtimes.base import ModelFiles
from server.tflite.facts import GraphFacts


def open_profiler(order: ProfileOrder, files: ModelFiles, facts: GraphFacts | None) -> Profiler:
    """The way asked for, else the first of the runtime's that works here.

    `facts` are None for files that are not TFLite. Raises MethodUnavailable, ModelFault.
    """
    known = profilers_of(order.runtime)
    *preferred, last = [order.method] if order.method else list(known)
    why_not = ""
    for method in preferred:
        try:
            return _open(known[method], order, files, facts)
        except MethodUnavailable as reason:
            why_not = f"instead of the {method} profiler: {reason}"
    profiler = _open(known[last], order, files, facts)
    profiler.detail = why_not or profiler.detail
    return profiler


def _open(module: str, order: ProfileOrder, files: ModelFiles, facts: GraphFacts | None) -> Profiler:
    profiler: Profiler = import_module(f"server.profilers.{module}").create(order, files, facts)
    return profiler

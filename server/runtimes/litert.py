"""LiteRT (ai-edge-litert), the default runtime. The only module that imports it."""

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from server.runtimes.interpreter import InterpreterRuntime, resolver


def create(version: str, *, delegates: bool) -> InterpreterRuntime:
    """The runtime, with or without its default delegates."""
    return InterpreterRuntime("litert", version, Interpreter, resolver(OpResolverType, delegates=delegates))

"""tflite-runtime, the older build of the same interpreter. The only module that imports it.

Its last wheels are for Python 3.11 and need numpy 1; they include 32-bit ARM. XNNPACK runs float graphs only.
"""

from tflite_runtime.interpreter import Interpreter, OpResolverType

from server.runtimes.interpreter import InterpreterRuntime, resolver


def create(version: str, *, delegates: bool) -> InterpreterRuntime:
    """The runtime, with or without its default delegates."""
    return InterpreterRuntime("tflite", version, Interpreter, resolver(OpResolverType, delegates=delegates))

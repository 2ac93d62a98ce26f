"""TFLite files made for tests, with the repository's own writer."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from scripts.digits_model.writer import GraphWriter, Quantisation

SCALE = Quantisation(np.array([1 / 256], np.float32), -128)


def constant_model() -> bytes:
    """A softmax over a vector: it runs, but it takes no picture."""
    writer = GraphWriter()
    source, sink = writer.tensor("vector", (1, 10), SCALE), writer.tensor("odds", (1, 10), SCALE)
    _softmax(writer, schema.BuiltinOperator.SOFTMAX, source, sink)
    return writer.finish(source, sink, "a vector model for tests")


def model_with_unknown_operator() -> bytes:
    """A well-formed file that asks for an operator no runtime has."""
    writer = GraphWriter()
    source, sink = writer.tensor("vector", (1, 10), SCALE), writer.tensor("odds", (1, 10), SCALE)
    _softmax(writer, schema.BuiltinOperator.CUSTOM, source, sink)
    return writer.finish(source, sink, "an operator of the future")


def _softmax(writer: GraphWriter, kind: int, source: int, sink: int) -> None:
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    writer.operator(kind, 2, [source], sink, options, schema.BuiltinOptions.SoftmaxOptions)

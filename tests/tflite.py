"""TFLite files made for tests, with the repository's own writer."""

from server.synthesis.quantise import PROBABILITIES
from server.tflite.graph import Graph
from server.tflite.writer import write


def constant_model() -> bytes:
    """A softmax over a vector: it runs, but it takes no picture."""
    return write(_softmax(), "a vector model for tests")


def model_with_unknown_operator() -> bytes:
    """A well-formed file that asks for an operator no runtime has."""
    graph = _softmax()
    graph.operators[0].kind = "CUSTOM"
    return write(graph, "an operator of the future")


def _softmax() -> Graph:
    graph = Graph()
    graph.source, graph.sink = (
        graph.tensor(name, (1, 10), "int8", quantisation=PROBABILITIES) for name in ("vector", "odds")
    )
    graph.append("SOFTMAX", [graph.source], graph.sink)
    return graph

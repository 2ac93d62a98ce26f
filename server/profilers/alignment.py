"""Which operator of the file an executed one stands for.

XNNPACK executes its own operators: in the file's order, but some are added (a Clamp after an ADD with a fused ReLU, a
reshape before a MEAN) and 1x1 convolutions appear as "Fully Connected". So both lists are walked together, and an
executed operator takes the next one of the file that it can stand for.
"""

from collections.abc import Sequence

from server.runtimes.litert_profiler import OperatorTime

LOOK_AHEAD = 3
"""Operators of the file that a delegate may have folded into a neighbour, one after the other."""

FAMILIES: tuple[tuple[str, frozenset[str]], ...] = (
    ("DWConv", frozenset({"DEPTHWISE_CONV_2D"})),
    ("Depthwise", frozenset({"DEPTHWISE_CONV_2D"})),
    ("Convolution", frozenset({"CONV_2D"})),
    ("Deconvolution", frozenset({"TRANSPOSE_CONV"})),
    ("Fully Connected", frozenset({"FULLY_CONNECTED", "CONV_2D"})),
    ("Add", frozenset({"ADD"})),
    ("Multiply", frozenset({"MUL"})),
    ("Subtract", frozenset({"SUB"})),
    ("Average Pooling", frozenset({"AVERAGE_POOL_2D", "MEAN"})),
    ("Max Pooling", frozenset({"MAX_POOL_2D"})),
    ("Mean", frozenset({"MEAN"})),
    ("Reduce", frozenset({"MEAN", "SUM"})),
    ("Softmax", frozenset({"SOFTMAX"})),
    ("Reshape", frozenset({"RESHAPE"})),
    ("Pad", frozenset({"PAD"})),
    ("Sigmoid", frozenset({"LOGISTIC"})),
)
"""Words in the name of a delegate's operator, and what it can stand for; the first that fits counts."""


def align(kinds: Sequence[str], executed: Sequence[OperatorTime]) -> list[int | None]:
    """For each executed operator the index of the file's, None where it stands for none.

    `kinds` are TFLite's names of the file's operators in their order. The interpreter's own operators carry their
    index; a delegate's are found by kind and order.
    """
    aligned: list[int | None] = []
    following = 0
    for operator in executed:
        index = operator.index if not operator.delegated else _next(kinds, following, operator.name)
        if index is not None and not 0 <= index < len(kinds):
            index = None
        if index is not None:
            following = index + 1
        aligned.append(index)
    return aligned


def _next(kinds: Sequence[str], start: int, name: str) -> int | None:
    wanted = next((family for word, family in FAMILIES if word in name), frozenset())
    return next((index for index in range(start, min(start + LOOK_AHEAD, len(kinds))) if kinds[index] in wanted), None)

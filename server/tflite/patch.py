"""Changes to a TFLite file itself."""

import numpy as np

from server.tflite.flatbuffer import schema

Scale = tuple[float, int] | None


def unpin_batch(model: bytes) -> bytes | None:
    """A copy of a model whose RESHAPEs keep any batch; None when none of them pins it to one frame.

    A RESHAPE with the constant target [1, n, ...] pins the batch. The target becomes [-1, n, ...], both in the
    constant and in the copy that the operator's options carry.
    """
    changed = bytearray(model)
    tree = schema.Model.GetRootAs(changed, 0)
    graph = tree.Subgraphs(0)
    found = False
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        if _kind(tree, operator) == schema.BuiltinOperator.RESHAPE:
            found |= _unpin(tree, graph, operator)
    return bytes(changed) if found else None


def quantisation(model: bytes) -> tuple[list[Scale], list[Scale]]:
    """Scale and zero point of each input and output of the main graph; None for those that hold real numbers."""
    graph = schema.Model.GetRootAs(model, 0).Subgraphs(0)

    def scale_of(index: int) -> Scale:
        table = graph.Tensors(index).Quantization()
        if table is None or table.ScaleLength() != 1:
            return None
        return float(table.Scale(0)), int(table.ZeroPoint(0)) if table.ZeroPointLength() else 0

    inputs = [scale_of(graph.Inputs(number)) for number in range(graph.InputsLength())]
    return inputs, [scale_of(graph.Outputs(number)) for number in range(graph.OutputsLength())]


def _kind(tree: schema.Model, operator: schema.Operator) -> int:
    code = tree.OperatorCodes(operator.OpcodeIndex())
    return max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))


def _unpin(tree: schema.Model, graph: schema.SubGraph, operator: schema.Operator) -> bool:
    sink = graph.Tensors(operator.Outputs(0))
    shape = np.atleast_1d(sink.ShapeAsNumpy())
    if sink.ShapeLength() < 2 or shape[0] != 1 or operator.InputsLength() < 2:
        return False
    target = tree.Buffers(graph.Tensors(operator.Inputs(1)).Buffer())
    if target.DataLength() != 4 * len(shape):
        return False
    wanted = np.array([-1, *shape[1:]], np.int32)
    target.DataAsNumpy().view(np.int32)[:] = wanted  # a view: it writes into the copy
    table = operator.BuiltinOptions()
    if table is not None:
        options = schema.ReshapeOptions()
        options.Init(table.Bytes, table.Pos)
        if options.NewShapeLength() == len(shape):
            options.NewShapeAsNumpy()[:] = wanted
    return True

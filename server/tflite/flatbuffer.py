"""TFLite files as trees of objects, by the schema module that LiteRT ships and the flatbuffers it brings.

The only module that knows both; what comes out again is packed in the tree's order, so equal trees are equal bytes.
"""

import struct
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

__all__ = ["FAULTS", "KINDS", "TYPES", "is_constant", "kind_of", "pack", "schema", "shape_of", "unpack"]

FILE_IDENTIFIER = b"TFL3"
KINDS: dict[int, str] = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
"""TFLite's names of built-in operators by their number."""
TYPES: dict[int, str] = {
    value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)
}
"""Names of tensor types, as numpy has them where it has them."""

FAULTS = (IndexError, TypeError, AttributeError, struct.error)
"""What the generated code raises for a damaged file."""


def unpack(model: bytes) -> Any:
    """A file as a `schema.ModelT`; raises ValueError for one that cannot be read."""
    try:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    except FAULTS as error:
        raise ValueError(f"the graph cannot be read: {error}") from error


def pack(tree: Any) -> bytes:
    """A `schema.ModelT` as a file."""
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(tree.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def kind_of(tree: Any, operator: Any) -> str:
    """TFLite's name of an operator, CUSTOM for one it does not have."""
    code = tree.operatorCodes[operator.opcodeIndex]
    return KINDS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")


def is_constant(tree: Any, tensor: Any) -> bool:
    """Whether a tensor's values are in the file."""
    data = tree.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def shape_of(tensor: Any) -> tuple[int, ...]:
    """A tensor's shape as the file declares it."""
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)

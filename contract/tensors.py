"""Tensors as the Open Inference Protocol names them: https://github.com/kserve/open-inference-protocol.

Importable without pydantic and NumPy: workers, the agent and the client all need it.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
"""The protocol's name of each type of number, by NumPy's. In bodies they are little-endian."""

NUMPY_NAMES = {datatype: name for name, datatype in DATATYPES.items()}
"""NumPy's name of each datatype that holds numbers."""

BYTES = "BYTES"
"""Elements of any length. In a binary tensor each has its length before it, as four bytes, little-endian."""

LENGTH_BYTES = 4
"""Bytes of the length before an element of a binary BYTES tensor."""

MODEL_VERSION = "1"
"""The version of every model: an agent keeps one of each name, and its digest tells it from others."""


def tensor_names(names: Iterable[str], prefix: str) -> list[str]:
    """Names that are neither empty nor equal, as the protocol needs them: `input_0` where a model's file has none.

    A name that was there before gets its position appended.
    """
    found: list[str] = []
    for number, name in enumerate(names):
        own = name or f"{prefix}_{number}"
        while own in found:
            own = f"{own}_{number}"
        found.append(own)
    return found


DATATYPE_BYTES = {
    datatype: 1 if datatype == "BOOL" else int(datatype.lstrip("UINTFP")) // 8 for datatype in NUMPY_NAMES
}
"""Bytes of one element of each datatype."""

CODINGS = ("gzip", "deflate")
"""Content codings of RFC 9110 that bodies may have."""

BATCH_MAX = 64
"""Items that one request may bring at most."""


class Signature(Protocol):
    """What is known of a tensor, in whatever type."""

    @property
    def shape(self) -> Sequence[int]:
        """Its size in each dimension."""

    @property
    def dtype(self) -> str:
        """NumPy's name of its type."""


def batch_limit(inputs: Sequence[Signature], outputs: Sequence[Signature], max_body_bytes: int) -> int:
    """Items that a request to a model may bring; 1 where the first dimension of some tensor is not one item.

    No more than fit into a body as binary tensors, and at most `BATCH_MAX`.
    """
    if any(not tensor.shape or tensor.shape[0] != 1 for tensor in (*inputs, *outputs)):
        return 1
    item_bytes = sum(
        math.prod(tensor.shape) * DATATYPE_BYTES.get(DATATYPES.get(tensor.dtype, ""), 1) for tensor in inputs
    )
    return max(1, min(BATCH_MAX, max_body_bytes // max(item_bytes, 1)))

"""Tensors on their way to an agent and back, by the Open Inference Protocol with binary data; NumPy is not needed."""

import json
import math
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, Field

from client.errors import EdgeError, Malformed
from client.sdk.answers import Answer, check_type, parsed
from contract.paths import INFERENCE_HEADER_LENGTH
from contract.tensors import BYTES, DATATYPE_BYTES, DATATYPES, LENGTH_BYTES, NUMPY_NAMES

REPLY_MAX_BYTES = 64 << 20
"""The largest reply of an agent."""
BINARY = "application/octet-stream"
LENGTH_DIGITS_MAX = 9

_FORMATS = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
"""What `struct` and buffers call the datatypes."""
_DATATYPES = {format: datatype for datatype, format in _FORMATS.items()} | {"l": "INT64", "L": "UINT64"}


class Array(Protocol):
    """What is needed of NumPy's arrays, and of others that look like them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its size in each dimension."""

    @property
    def dtype(self) -> Any:
        """Its type, whose text is NumPy's name: `float32`."""

    def tobytes(self) -> bytes:
        """Its elements, row by row."""


class NoTensor(EdgeError):
    """What was to be sent is no tensor."""

    exit_code = 2


@dataclass(frozen=True)
class Tensor:
    """A tensor: its elements row by row, little-endian."""

    datatype: str
    """As the protocol names it: `FP32`, `UINT8`."""
    shape: tuple[int, ...]
    content: bytes

    @classmethod
    def of(cls, value: "bytes | memoryview | Array | Tensor") -> "Tensor":
        """A tensor of an array or a buffer with a shape; bytes are the file of one picture. Raises NoTensor."""
        if isinstance(value, Tensor):
            return value
        if isinstance(value, bytes):
            return cls(BYTES, (1,), len(value).to_bytes(LENGTH_BYTES, "little") + value)
        if isinstance(value, memoryview):
            datatype, name = _DATATYPES.get(value.format.lstrip("@=<")), value.format
        else:
            name = str(value.dtype)
            datatype = DATATYPES.get(name)
        if datatype is None or sys.byteorder != "little":
            raise NoTensor(f"the protocol has no datatype for {name[:40]!a}")
        return cls(datatype, tuple(value.shape or ()), value.tobytes())

    def numpy(self) -> Any:
        """The tensor as NumPy's array, read-only; objects for BYTES. Raises ImportError without NumPy."""
        import numpy as np

        if self.datatype == BYTES:
            return np.array(self.elements(), object).reshape(self.shape)
        return np.frombuffer(self.content, np.dtype(NUMPY_NAMES[self.datatype]).newbyteorder("<")).reshape(self.shape)

    def elements(self) -> list[Any]:
        """The elements, flat: numbers, or bytes for BYTES."""
        if self.datatype != BYTES:
            count = len(self.content) // DATATYPE_BYTES[self.datatype]
            return list(struct.unpack(f"<{count}{_FORMATS[self.datatype]}", self.content))
        found, rest = [], self.content
        while rest:
            size = int.from_bytes(rest[:LENGTH_BYTES], "little")
            found.append(rest[LENGTH_BYTES : LENGTH_BYTES + size])
            rest = rest[LENGTH_BYTES + size :]
        return found


class _Parameters(BaseModel):
    binary_data_size: int = Field(ge=0, le=REPLY_MAX_BYTES)


class _Output(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    parameters: _Parameters


class _Header(BaseModel):
    model_name: str
    outputs: list[_Output]


def body_of(inputs: Mapping[str, Any], outputs: Sequence[str]) -> tuple[bytes, dict[str, str]]:
    """The body of a request and its headers; raises NoTensor."""
    tensors = {name: Tensor.of(value) for name, value in inputs.items()}
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": name,
                    "datatype": tensor.datatype,
                    "shape": tensor.shape,
                    "parameters": {"binary_data_size": len(tensor.content)},
                }
                for name, tensor in tensors.items()
            ],
            "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in outputs],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    headers = {"Content-Type": BINARY, INFERENCE_HEADER_LENGTH: str(len(header))}
    return b"".join([header, *(tensor.content for tensor in tensors.values())]), headers


def outputs_of(answer: Answer) -> dict[str, Tensor]:
    """The outputs in an answer; raises Malformed, and pydantic's ValidationError."""
    check_type(answer, BINARY)
    length = str(answer.headers.get(INFERENCE_HEADER_LENGTH, ""))
    if not (length.isascii() and length.isdecimal() and len(length) <= LENGTH_DIGITS_MAX):
        raise Malformed(f"its {INFERENCE_HEADER_LENGTH} is no number of bytes")
    begin = int(length)
    header = _Header.model_validate(parsed(answer.content[:begin]))
    found: dict[str, Tensor] = {}
    for output in header.outputs:
        content = answer.content[begin : begin + output.parameters.binary_data_size]
        begin += output.parameters.binary_data_size
        tensor = Tensor(output.datatype, tuple(output.shape), content)
        _check(tensor, begin <= len(answer.content) and output.name not in found)
        found[output.name] = tensor
    if begin != len(answer.content):
        raise Malformed(f"it has {len(answer.content)} bytes, {begin} were announced")
    return found


def _check(tensor: Tensor, whole: bool) -> None:
    """Raise Malformed for a tensor whose size is not that of its shape, or that is not there as a whole."""
    if tensor.datatype == BYTES:
        size = len(tensor.content)
    elif tensor.datatype in DATATYPE_BYTES and all(0 <= each <= REPLY_MAX_BYTES for each in tensor.shape):
        size = math.prod(tensor.shape) * DATATYPE_BYTES[tensor.datatype]
    else:
        raise Malformed("it holds a tensor of no kind")
    if not whole or size != len(tensor.content):
        raise Malformed("it holds a tensor that does not have its size")

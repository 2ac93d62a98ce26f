"""Between gRPC's messages and the protocol's REST bodies, so that one engine answers both.

A request becomes a JSON header and its raw tensors; the reply's header becomes a message around its raw tensors.
"""

import json
import sys
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from contract.codes import ErrorCode
from contract.tensors import BYTES, LENGTH_BYTES
from server.errors import AgentError
from server.grpc import open_inference_pb2 as messages

HEADER_MAX_BYTES = 1 << 20
"""The longest header that a reply has whose tensors are all binary."""

_CONTENTS = {
    "BOOL": ("bool_contents", "B"),
    "UINT8": ("uint_contents", "B"),
    "UINT16": ("uint_contents", "H"),
    "UINT32": ("uint_contents", "I"),
    "UINT64": ("uint64_contents", "Q"),
    "INT8": ("int_contents", "b"),
    "INT16": ("int_contents", "h"),
    "INT32": ("int_contents", "i"),
    "INT64": ("int64_contents", "q"),
    "FP32": ("fp32_contents", "f"),
    "FP64": ("fp64_contents", "d"),
}
"""The field that holds a datatype's elements, and what `array` calls their type. FP16 comes raw only."""


@dataclass(frozen=True)
class Body:
    """A request as REST would have it."""

    header: bytes
    tensors: list[bytes]


def to_body(request: messages.ModelInferRequest) -> Body:
    """The JSON header and the binary tensors of a request; raises AgentError."""
    if request.raw_input_contents:
        if len(request.raw_input_contents) != len(request.inputs):
            raise _invalid(f"{len(request.raw_input_contents)} raw_input_contents for {len(request.inputs)} inputs")
        if any(given.HasField("contents") for given in request.inputs):
            raise _invalid("inputs come in raw_input_contents or in their own contents, not in both")
        tensors = list(request.raw_input_contents)
    else:
        tensors = [_raw(given) for given in request.inputs]
    header: dict[str, Any] = {
        "inputs": [
            {
                "name": given.name,
                "datatype": given.datatype,
                "shape": list(given.shape),
                "parameters": {**_parameters(given.parameters), "binary_data_size": len(content)},
            }
            for given, content in zip(request.inputs, tensors, strict=True)
        ],
        "outputs": [
            {"name": wanted.name, "parameters": {**_parameters(wanted.parameters), "binary_data": True}}
            for wanted in request.outputs
        ],
        "parameters": {**_parameters(request.parameters), "binary_data_output": True},
    }
    if request.id:
        header["id"] = request.id
    return Body(json.dumps(header).encode(), tensors)


def to_response(body: bytes, header_bytes: int | None) -> messages.ModelInferResponse:
    """A reply's body as a message; raises ValueError for one that no worker writes."""
    size = header_bytes or 0
    if not 0 < size <= HEADER_MAX_BYTES:
        raise ValueError(f"a reply with a header of {size} bytes")
    header = json.loads(body[:size])
    outputs = header["outputs"]
    sizes = [output["parameters"]["binary_data_size"] for output in outputs]
    ends = list(accumulate(sizes, initial=size))
    if ends[-1] != len(body):
        raise ValueError(f"a reply of {len(body)} bytes, {ends[-1]} announced")
    return messages.ModelInferResponse(
        model_name=header["model_name"],
        model_version=header["model_version"],
        id=header.get("id", ""),
        outputs=[
            messages.ModelInferResponse.InferOutputTensor(
                name=output["name"], datatype=output["datatype"], shape=output["shape"]
            )
            for output in outputs
        ],
        raw_output_contents=[body[begin : begin + each] for begin, each in zip(ends, sizes, strict=False)],
    )


def _raw(given: messages.ModelInferRequest.InferInputTensor) -> bytes:
    """The bytes of a tensor whose elements came typed; raises AgentError."""
    contents = given.contents
    if given.datatype == BYTES:
        return b"".join(len(each).to_bytes(LENGTH_BYTES, "little") + each for each in contents.bytes_contents)
    if given.datatype not in _CONTENTS:
        raise _invalid(f"input {given.name[:64]!r}: {given.datatype[:64]!r} comes in raw_input_contents only")
    field, code = _CONTENTS[given.datatype]
    values: Iterable[Any] = getattr(contents, field)
    try:
        elements = array(code, values)
    except OverflowError as error:
        raise _invalid(f"input {given.name[:64]!r} holds a number beyond {given.datatype}") from error
    if sys.byteorder == "big":
        elements.byteswap()
    return elements.tobytes()


def _parameters(given: Mapping[str, messages.InferParameter]) -> dict[str, Any]:
    found = {}
    for name, value in given.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(value, choice)
    return found


def _invalid(detail: str) -> AgentError:
    return AgentError(ErrorCode.INVALID_TENSOR, detail)

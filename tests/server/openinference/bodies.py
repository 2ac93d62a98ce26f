"""Bodies of the Open Inference Protocol as tests write them by hand."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.tensors import DATATYPES


def described(name: str, array: NDArray[Any], **fields: Any) -> dict[str, Any]:
    """The header's entry for an input, with its data as JSON unless a field says otherwise."""
    entry: dict[str, Any] = {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": list(array.shape)}
    if "parameters" not in fields and "data" not in fields:
        entry["data"] = array.tolist()
    return {**entry, **fields}


def binary(name: str, array: NDArray[Any], **fields: Any) -> dict[str, Any]:
    """The header's entry for an input whose bytes follow the header."""
    return described(name, array, parameters={"binary_data_size": array.nbytes}, **fields)


def body(inputs: Sequence[Mapping[str, Any]], *content: bytes, **fields: Any) -> tuple[bytes, int]:
    """A body and the length of its JSON header."""
    header = json.dumps({"inputs": inputs, **fields}).encode()
    return header + b"".join(content), len(header)


def read_reply(content: bytes, header_bytes: int | None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A reply's header, and its tensors as arrays; BYTES as arrays of bytes."""
    names = {datatype: name for name, datatype in DATATYPES.items()}
    header = json.loads(content[:header_bytes])
    rest = content[header_bytes:] if header_bytes is not None else b""
    arrays = {}
    for output in header["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            kind: Any = object if output["datatype"] == "BYTES" else names[output["datatype"]]
            array = np.array(output["data"], kind)
        elif output["datatype"] == "BYTES":
            array = np.array(_elements(rest[:size]), object)
        else:
            array = np.frombuffer(rest[:size], names[output["datatype"]])
        rest = rest[size or 0 :]
        arrays[output["name"]] = array.reshape(output["shape"])
    assert rest == b""
    return header, arrays


def _elements(content: bytes) -> list[str]:
    found = []
    while content:
        size = int.from_bytes(content[:4], "little")
        found.append(content[4 : 4 + size].decode())
        content = content[4 + size :]
    return found

"""The body of a reply: a JSON header, and behind it the tensors that were asked for as binary data."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from contract.tensors import BYTES, DATATYPES, LENGTH_BYTES
from image_model.postprocess import top_k
from server.openinference.worker.faults import refuse
from server.openinference.worker.request import InferenceRequest, RequestedOutput
from server.runtimes.base import Array

HEADERS_KEPT = 32
JSON_ELEMENTS_MAX = 1 << 20
"""Elements that a reply may hold as JSON: as text and as Python's numbers they take fifty bytes each."""


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_LITTLE_ENDIAN = sys.byteorder == "little"
_DATATYPES = {np.dtype(name): datatype for name, datatype in DATATYPES.items()}


@dataclass(frozen=True)
class Reply:
    """A reply's body in pieces that are not copied before they are written."""

    header: bytes
    tensors: Sequence[memoryview]
    """Binary tensors in the header's order; none where the header holds all data."""

    @property
    def size(self) -> int:
        """Bytes of the whole body."""
        return len(self.header) + sum(tensor.nbytes for tensor in self.tensors)

    @property
    def parts(self) -> list[memoryview]:
        """The whole body."""
        return [memoryview(self.header), *self.tensors]


def make_reply(
    request: InferenceRequest,
    outputs: Mapping[str, Array],
    labels: Callable[[], Mapping[int, str]],
    model: Mapping[str, str],
) -> Reply:
    """The outputs as a request wants them; raises OrderFailed for what cannot be said in JSON.

    `labels` gives names by class index where they are asked for; `model` is the part of the header that names model and
    version.
    """
    if request.outputs is None and request.binary and request.id is None:
        tensors = [to_binary(array) for array in outputs.values()]
        described = ((name, datatype_of(array), array.shape, array.nbytes) for name, array in outputs.items())
        return Reply(_all_binary(*described, **model), tensors)
    wanted = request.outputs or [RequestedOutput(name, request.binary, None) for name in outputs]
    entries, tensors = [], []
    for output in wanted:
        array = outputs[output.name]
        if output.classes is not None:
            array = classes(array, output.classes, labels())
        datatype = BYTES if array.dtype == object else datatype_of(array)
        entry: dict[str, Any] = {"name": output.name, "datatype": datatype, "shape": list(array.shape)}
        if output.binary:
            content = to_binary(array)
            tensors.append(content)
            entry["parameters"] = {"binary_data_size": len(content)}
        else:
            entry["data"] = to_json(array, output.where)
        entries.append(entry)
    return Reply(_header(model, request.id, entries), tensors)


def _header(model: Mapping[str, str], id: str | None, entries: Sequence[Mapping[str, Any]]) -> bytes:
    document = {**model, **({} if id is None else {"id": id}), "outputs": entries}
    return _ENCODER.encode(document).encode()


@lru_cache(maxsize=HEADERS_KEPT)
def _all_binary(*outputs: tuple[str, str | None, tuple[int, ...], int], **model: str) -> bytes:
    """The header before all outputs as binary data: the same for every request to a model that says no more."""
    entries = [
        {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}
        for name, datatype, shape, size in outputs
    ]
    return _header(model, None, entries)


def datatype_of(array: Array) -> str | None:
    """The protocol's datatype of a tensor, None where it has none."""
    return _DATATYPES.get(array.dtype)


def to_binary(array: Array) -> memoryview:
    """A tensor's little-endian bytes, row by row."""
    if array.dtype == object:
        texts = [str(value).encode() for value in array.ravel()]
        return memoryview(b"".join(len(text).to_bytes(LENGTH_BYTES, "little") + text for text in texts))
    little = _LITTLE_ENDIAN and array.dtype.isnative
    ordered = np.ascontiguousarray(array, None if little else array.dtype.newbyteorder("<"))
    return ordered.reshape(-1).view(np.uint8).data


def to_json(array: Array, where: str) -> list[Any]:
    """A tensor's elements, flat; raises OrderFailed for values that JSON has no words for, and for too many."""
    if array.size > JSON_ELEMENTS_MAX:
        refuse(f"{where} has {array.size} elements, too many for JSON: ask for it with `binary_data`")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        refuse(f"{where} holds NaN or infinite values, which JSON lacks: ask for it with `binary_data`")
    values: list[Any] = array.ravel().tolist()
    return values


def classes(array: Array, count: int, labels: Mapping[int, str]) -> Array:
    """The largest elements of each item of a batch as `value:index` or `value:index:label`, largest first."""
    if not array.size:
        refuse("an output without elements has no classes")
    batch = array.shape[0] if array.ndim > 1 else 1
    rows = array.reshape(batch, -1)
    found = np.array([_largest(row, count, labels) for row in rows], dtype=object)
    return found if array.ndim > 1 else found[0]


def _largest(row: Array, count: int, labels: Mapping[int, str]) -> list[str]:
    values = np.nan_to_num(row.astype(np.float64), nan=-np.inf)
    best = top_k(values, count)  # type: ignore[arg-type]
    return [":".join([str(row[index]), str(index), *([labels[index]] if index in labels else [])]) for index in best]

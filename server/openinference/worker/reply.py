"""The body of a reply: a JSON header, and behind it the tensors that were asked for as binary data."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.tensors import BYTES, DATATYPES, LENGTH_BYTES
from image_model.postprocess import top_k
from server.openinference.worker.faults import refuse, shown
from server.openinference.worker.request import InferenceRequest, RequestedOutput
from server.runtimes.base import Array

JSON_ELEMENTS_MAX = 1 << 20
"""Elements that a reply may hold as JSON: as text and as Python's numbers they take fifty bytes each."""


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
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
    wanted = request.outputs or [RequestedOutput(name, request.binary, None) for name in outputs]
    entries, tensors = [], []
    for output in wanted:
        where = f"output {shown(output.name)}"
        array = outputs[output.name]
        if output.classes is not None:
            array = classes(array, output.classes, labels())
        entry: dict[str, Any] = {
            "name": output.name,
            "datatype": BYTES if array.dtype == object else datatype_of(array),
            "shape": list(array.shape),
        }
        if output.binary:
            content = to_binary(array)
            tensors.append(content)
            entry["parameters"] = {"binary_data_size": len(content)}
        else:
            entry["data"] = to_json(array, where)
        entries.append(entry)
    document = {**model, **({} if request.id is None else {"id": request.id}), "outputs": entries}
    return Reply(_ENCODER.encode(document).encode(), tensors)


def datatype_of(array: Array) -> str | None:
    """The protocol's datatype of a tensor, None where it has none."""
    return _DATATYPES.get(array.dtype)


def to_binary(array: Array) -> memoryview:
    """A tensor's little-endian bytes, row by row."""
    if array.dtype == object:
        texts = [str(value).encode() for value in array.ravel()]
        return memoryview(b"".join(len(text).to_bytes(LENGTH_BYTES, "little") + text for text in texts))
    ordered = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
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

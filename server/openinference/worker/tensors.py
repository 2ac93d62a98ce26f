"""Tensors of a request as arrays: every size, type and range checked before NumPy or a runtime sees them."""

import base64
import binascii
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from contract.tensors import BYTES, LENGTH_BYTES, NUMPY_NAMES
from server.openinference.worker.faults import refuse, shown
from server.runtimes.base import Array

_JSON_TYPES: dict[str, set[type]] = {"b": {bool}, "u": {int}, "i": {int}, "f": {int, float}}
"""Python's types of JSON values by the kind of NumPy's type."""

_LITTLE_ENDIAN = {datatype: np.dtype(name).newbyteorder("<") for datatype, name in NUMPY_NAMES.items()}


def from_binary(content: memoryview, datatype: str, shape: Sequence[int], where: str) -> Array:
    """A tensor of numbers from its little-endian bytes; raises OrderFailed. No copy unless it must be aligned."""
    dtype = _LITTLE_ENDIAN[datatype]
    expected = math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        refuse(f"{where} of {datatype} {list(shape)} has {expected} bytes, {len(content)} were sent")
    if datatype == "BOOL":  # another byte than 0 and 1 would be no valid element
        return np.not_equal(np.frombuffer(content, np.uint8), 0).reshape(shape)
    array: Array = np.frombuffer(content, dtype).reshape(shape)
    if array.flags.aligned and dtype.isnative:
        return array
    return np.require(array, dtype.newbyteorder("="), ["C", "ALIGNED"])


def from_json(data: Any, datatype: str, shape: Sequence[int], where: str) -> Array:
    """A tensor of numbers from JSON, nested as its shape or flat; raises OrderFailed."""
    dtype = np.dtype(NUMPY_NAMES[datatype])
    values = flatten(data, shape, where)
    for kind in set(map(type, values)) - _JSON_TYPES[dtype.kind]:
        example = next(value for value in values if type(value) is kind)
        refuse(f"{where} is {datatype} and holds {shown(example)}")
    if dtype.kind == "f":
        return _reals(values, dtype, where).reshape(shape)
    if dtype.kind in "iu":
        _check_range(values, dtype, datatype, where)
    return np.array(values, dtype).reshape(shape)


def flatten(data: Any, shape: Sequence[int], where: str) -> list[Any]:
    """The elements of JSON data in row-major order; raises OrderFailed unless it is flat or nested as its shape."""
    count = math.prod(shape)
    level = data if isinstance(data, list) else refuse(f"the data of {where} is a JSON array")
    if len(shape) > 1 and level and isinstance(level[0], list):
        for size in shape[1:]:
            if not all(isinstance(entry, list) and len(entry) == size for entry in level):
                refuse(f"the data of {where} is not nested as its shape {list(shape)} says")
            level = list(chain.from_iterable(level))
    if len(level) != count:
        refuse(f"{where} of shape {list(shape)} has {count} elements, {len(level)} were sent")
    return level


def elements(content: memoryview, count: int, where: str) -> list[memoryview]:
    """The elements of a binary BYTES tensor; raises OrderFailed."""
    found: list[memoryview] = []
    for _ in range(count):
        if len(content) < LENGTH_BYTES:
            refuse(f"{where} ends within the length of element {len(found)}")
        size = int.from_bytes(content[:LENGTH_BYTES], "little")
        content = content[LENGTH_BYTES:]
        if len(content) < size:
            refuse(f"element {len(found)} of {where} announces {size} bytes, {len(content)} follow")
        found.append(content[:size])
        content = content[size:]
    if content:
        refuse(f"{len(content)} bytes follow the last of the {count} elements of {where}")
    return found


def base64_elements(data: Any, shape: Sequence[int], where: str) -> list[memoryview]:
    """The elements of a BYTES tensor in JSON, where bytes that are no text come in base64; raises OrderFailed."""
    found: list[memoryview] = []
    for value in flatten(data, shape, where):
        if not isinstance(value, str):
            refuse(f"{where} is {BYTES}: in JSON its elements are strings in base64, not {shown(value)}")
        try:
            found.append(memoryview(base64.b64decode(value, validate=True)))
        except (binascii.Error, ValueError):
            refuse(f"an element of {where} is not base64: send it as binary data, or encode it")
    return found


def _reals(values: list[Any], dtype: np.dtype[Any], where: str) -> Array:
    try:
        wide = np.array(values, np.float64)
    except OverflowError:
        refuse(f"{where} holds a number beyond {NUMPY_NAMES['FP64']}")
    with np.errstate(over="ignore"):
        array = wide.astype(dtype)
    if not np.isfinite(array).all():
        worst = values[int(np.argmax(~np.isfinite(array)))]
        refuse(f"{where} holds {shown(worst)}, which {dtype.name} cannot: send special values as binary data")
    return array


def _check_range(values: list[Any], dtype: np.dtype[Any], datatype: str, where: str) -> None:
    bounds = np.iinfo(dtype)
    for value in (min(values, default=0), max(values, default=0)):
        if not bounds.min <= value <= bounds.max:
            refuse(f"{where} holds {shown(value)}, {datatype} is {bounds.min} to {bounds.max}")

"""A request's JSON header, checked: what it asks for, before any tensor is looked at."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NoReturn

from contract.codes import ErrorCode
from server.openinference.worker.faults import kind, refuse, shown

ID_MAX = 1024
"""Characters of a request's id, which is sent back."""
RANK_MAX = 32
NUMBER_MAX = (1 << 64) - 1
"""The largest dimension or size, which the protocol has as an unsigned number of 64 bits."""
JSON_MEMORY_MAX_BYTES = 128 << 20
"""Memory that a JSON header may take once it is parsed."""
KEPT_HEADERS = 32
KEPT_HEADER_BYTES = 2048
"""Headers that are not parsed anew each time, and their size: before binary tensors, most clients send the same."""

_COSTS = {b"{": 240, b"[": 96, b",": 40, b'"': 32}
"""Bytes that Python's values take for each of these characters, at most."""


@dataclass(frozen=True)
class RequestedInput:
    """An input tensor as a request describes it: with JSON `data`, or as so many bytes behind the header."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any
    binary_bytes: int | None

    @cached_property
    def where(self) -> str:
        """The input as errors name it."""
        return f"input {shown(self.name)}"


@dataclass(frozen=True)
class RequestedOutput:
    """An output tensor as a request asks for it."""

    name: str
    binary: bool
    classes: int | None
    """Ask for so many of the largest elements with their indices instead of the tensor."""

    @cached_property
    def where(self) -> str:
        """The output as errors name it."""
        return f"output {shown(self.name)}"


@dataclass(frozen=True)
class InferenceRequest:
    """All that a JSON header says."""

    id: str | None
    inputs: Sequence[RequestedInput]
    outputs: Sequence[RequestedOutput] | None
    """None: every output of the model."""
    binary: bool
    """Whether outputs that are not named are wanted as binary data."""


def parse_header(header: memoryview) -> InferenceRequest:
    """Read a JSON header; raises OrderFailed for what the protocol does not allow."""
    return (_parsed if len(header) <= KEPT_HEADER_BYTES else _parse)(bytes(header))


def _parse(header: bytes) -> InferenceRequest:
    document = _object(_json(header), "the request")
    parameters = _parameters(document, "the request")
    binary = _flag(parameters, "binary_data_output", "the request") or False
    return InferenceRequest(
        id=_identifier(document.get("id")),
        inputs=[_input(entry) for entry in _list(document.get("inputs"), "inputs")],
        outputs=_outputs(document.get("outputs"), binary),
        binary=binary,
    )


_parsed = lru_cache(maxsize=KEPT_HEADERS)(_parse)


def _json(content: bytes) -> Any:
    if not content:
        refuse("the request has no JSON header")
    cost = sum(content.count(character) * size for character, size in _COSTS.items())
    if cost > JSON_MEMORY_MAX_BYTES:
        detail = "this much JSON takes too much memory to be parsed: send the tensors as binary data"
        refuse(detail, ErrorCode.TOO_MANY_BYTES)
    try:
        return _DECODER.decode(content.decode())
    except UnicodeDecodeError as error:
        refuse(f"the JSON header is not UTF-8: {error.reason} at byte {error.start}")
    except RecursionError:
        refuse("the JSON header is nested too deeply")
    except ValueError as error:
        refuse(f"the header is not JSON: {error}"[:300])


def _no_constant(name: str) -> NoReturn:
    refuse(f"{name} is not JSON: send tensors that hold it as binary data")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _input(entry: Any) -> RequestedInput:
    described = _object(entry, "an input")
    name = _text(described.get("name"), "the name of an input")
    where = f"input {shown(name)}"
    parameters = _parameters(described, where)
    if "shared_memory_region" in parameters:
        refuse(f"{where} is to be read from shared memory, which this agent does not offer")
    size = _whole(parameters, "binary_data_size", where)
    if (size is None) == ("data" not in described):
        refuse(f"{where} needs either `data` or the parameter `binary_data_size`")
    return RequestedInput(
        name=name,
        datatype=_text(described.get("datatype"), f"the datatype of {where}"),
        shape=_shape(described.get("shape"), where),
        data=described.get("data"),
        binary_bytes=size,
    )


def _outputs(entries: Any, binary: bool) -> list[RequestedOutput] | None:
    if entries is None or entries == []:
        return None
    return [_output(entry, binary) for entry in _list(entries, "outputs")]


def _output(entry: Any, binary: bool) -> RequestedOutput:
    described = _object(entry, "an output")
    name = _text(described.get("name"), "the name of an output")
    where = f"output {shown(name)}"
    parameters = _parameters(described, where)
    if "shared_memory_region" in parameters:
        refuse(f"{where} is to be written to shared memory, which this agent does not offer")
    own = _flag(parameters, "binary_data", where)
    classes = _whole(parameters, "classification", where)
    if classes == 0:
        refuse(f"{where}: `classification` is the number of classes to return, at least 1")
    return RequestedOutput(name, binary if own is None else own, classes)


def _shape(value: Any, where: str) -> tuple[int, ...]:
    sizes = _list(value, f"the shape of {where}")
    if len(sizes) > RANK_MAX:
        refuse(f"{where} has {len(sizes)} dimensions, at most {RANK_MAX} are possible")
    for size in sizes:
        if type(size) is not int or not 0 <= size <= NUMBER_MAX:
            refuse(f"the shape of {where} holds {shown(size)}, dimensions are whole numbers from 0 to 2^64-1")
    return tuple(sizes)


def _identifier(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > ID_MAX:
        refuse(f"the id of a request is a string of at most {ID_MAX} characters")
    return value


def _parameters(owner: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    return _object(owner.get("parameters") or {}, f"`parameters` of {where}")


def _flag(parameters: Mapping[str, Any], name: str, where: str) -> bool | None:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        refuse(f"the parameter `{name}` of {where} is true or false, not {shown(value)}")
    return value


def _whole(parameters: Mapping[str, Any], name: str, where: str) -> int | None:
    value = parameters.get(name)
    if value is not None and (type(value) is not int or not 0 <= value <= NUMBER_MAX):
        refuse(f"the parameter `{name}` of {where} is a whole number from 0, not {shown(value)}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        refuse(f"{what} is a string, not {kind(value)}")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        refuse(f"{what} is a JSON array, not {kind(value)}")
    return value


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        refuse(f"{what} is a JSON object, not {kind(value)}")
    return value

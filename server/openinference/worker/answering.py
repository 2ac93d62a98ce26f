"""One request from its body to its reply, on a loaded model."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from contract.codes import ErrorCode
from contract.tensors import BYTES, DATATYPES, MODEL_VERSION, tensor_names
from server.openinference.worker.coding import decompress
from server.openinference.worker.faults import refuse, shown
from server.openinference.worker.format import BodyFormat
from server.openinference.worker.reply import Reply, datatype_of, make_reply
from server.openinference.worker.request import InferenceRequest, RequestedInput, parse_header
from server.openinference.worker.tensors import base64_elements, elements, from_binary, from_json
from server.runtimes.base import Array, Tensor


class Servable(Protocol):
    """A loaded model as the protocol needs it."""

    @property
    def name(self) -> str:
        """The name that the reply repeats."""

    @property
    def inputs(self) -> Sequence[Tensor]:
        """Input tensors of one item."""

    @property
    def outputs(self) -> Sequence[Tensor]:
        """Output tensors of one item."""

    @property
    def labels(self) -> Mapping[int, str]:
        """Names by class index."""

    @property
    def max_batch(self) -> int:
        """Items that one request may bring; 1 for a model whose tensors have no first dimension for them."""

    @property
    def takes_images(self) -> bool:
        """Whether `image` may be called."""

    def image(self, encoded: memoryview) -> Array:
        """An encoded picture as the model's input tensor; raises OrderFailed."""

    def invoke(self, arrays: Sequence[Array], batch: int) -> Sequence[Array]:
        """Run on so many items, whose arrays have them as first dimension; raises OrderFailed."""


def answer(body: memoryview, format: BodyFormat, model: Servable) -> Reply:
    """Run one request; raises OrderFailed for whatever does not fit the protocol or the model."""
    if format.coding is not None:
        body = decompress(body, format.coding, format.max_bytes)
    request, arrays, batch = _read(body, format.header_bytes, model)
    names = tensor_names((tensor.name for tensor in model.outputs), "output")
    _check_outputs(request, names)
    results = model.invoke(arrays, batch)
    outputs = dict(zip(names, results, strict=True))
    for name, array in outputs.items():
        if datatype_of(array) is None:
            refuse(f"output {shown(name)} holds {array.dtype}, which the protocol lacks", ErrorCode.INFERENCE_FAILED)
    named = {"model_name": model.name, "model_version": MODEL_VERSION}
    return make_reply(request, outputs, lambda: model.labels, named)


def _read(body: memoryview, header_bytes: int | None, model: Servable) -> tuple[InferenceRequest, list[Array], int]:
    names = tensor_names((tensor.name for tensor in model.inputs), "input")
    if header_bytes == 0:
        request, rest = _bare(body, names, model), body
    else:
        size = len(body) if header_bytes is None else header_bytes
        if size > len(body):
            refuse(f"the JSON header has {size} bytes by its length, the whole body {len(body)}")
        request, rest = parse_header(body[:size]), body[size:]
    by_name = _by_name(request.inputs, names)
    shares = _shares(request.inputs, rest)
    batch = _batch([by_name[name] for name in names], model)
    return request, [_array(by_name[name], shares, model, batch) for name in names], batch


def _bare(body: memoryview, names: Sequence[str], model: Servable) -> InferenceRequest:
    """What a body without header asks for: its bytes are the one input, all outputs are wanted as binary data."""
    if len(names) != 1:
        refuse(f"a body without header is for models of one input, this one has {len(names)}")
    tensor = model.inputs[0]
    described = RequestedInput(names[0], DATATYPES.get(tensor.dtype, ""), tensor.shape, None, len(body))
    return InferenceRequest(None, [described], None, binary=True)


def _by_name(inputs: Sequence[RequestedInput], names: Sequence[str]) -> dict[str, RequestedInput]:
    found: dict[str, RequestedInput] = {}
    for each in inputs:
        if each.name not in names:
            refuse(f"the model has no input {shown(each.name)}; it has {_listed(names)}")
        if each.name in found:
            refuse(f"input {shown(each.name)} is there twice")
        found[each.name] = each
    if missing := [name for name in names if name not in found]:
        refuse(f"the model also needs {_listed(missing)}")
    return found


def _shares(inputs: Sequence[RequestedInput], rest: memoryview) -> dict[str, memoryview]:
    """The bytes of each binary input, which follow the header in the inputs' order."""
    sizes = {each.name: each.binary_bytes for each in inputs if each.binary_bytes is not None}
    if (total := sum(sizes.values())) != len(rest):
        refuse(f"the inputs announce {total} bytes of binary data, {len(rest)} follow the JSON header")
    shares, begin = {}, 0
    for name, size in sizes.items():
        shares[name] = rest[begin : begin + size]
        begin += size
    return shares


def _batch(inputs: Sequence[RequestedInput], model: Servable) -> int:
    """Items of a request: the first dimension, on which all inputs have to agree."""
    batch = 1
    for position, (each, tensor) in enumerate(zip(inputs, model.inputs, strict=True)):
        size = _items(each, tensor, model)
        if position and size != batch:
            refuse(f"{each.where} brings {size} items, the inputs before it {batch}")
        batch = size
    return batch


def _items(each: RequestedInput, tensor: Tensor, model: Servable) -> int:
    """Items that one input brings; raises OrderFailed unless datatype and shape are those of the model."""
    where, expected = each.where, DATATYPES.get(tensor.dtype)
    if each.datatype == BYTES and model.takes_images:
        if not 1 <= len(each.shape) <= 2 or each.shape[1:] not in ((), (1,)):
            refuse(f"{where}: pictures as BYTES have the shape [1] or [N, 1], not {_sizes(each.shape)}")
        return _within(each.shape[0], model, where)
    if expected is None:
        refuse(f"{where} of the model holds {tensor.dtype}, which the protocol has no datatype for")
    if each.datatype != expected:
        also = f", or {BYTES} with an encoded picture" if model.takes_images else ""
        refuse(f"{where} is {expected}{also}, not {shown(each.datatype)}")
    if each.shape == tensor.shape:
        return 1
    if model.max_batch == 1 or len(each.shape) != len(tensor.shape) or each.shape[1:] != tensor.shape[1:]:
        wanted = [-1, *tensor.shape[1:]] if model.max_batch > 1 else list(tensor.shape)
        refuse(f"{where} has the shape {wanted}, not {_sizes(each.shape)}")
    return _within(each.shape[0], model, where)


def _within(count: int, model: Servable, where: str) -> int:
    if not 1 <= count <= model.max_batch:
        refuse(f"{where} brings {shown(count)} items, this agent takes 1 to {model.max_batch} of this model at once")
    return count


def _array(each: RequestedInput, shares: Mapping[str, memoryview], model: Servable, batch: int) -> Array:
    where, binary = each.where, each.binary_bytes is not None
    if each.datatype == BYTES:
        if binary:
            pictures = elements(shares[each.name], batch, where)
        else:
            pictures = base64_elements(each.data, each.shape, where)
        return np.concatenate([model.image(picture) for picture in pictures])
    if binary:
        return from_binary(shares[each.name], each.datatype, each.shape, where)
    return from_json(each.data, each.datatype, each.shape, where)


def _check_outputs(request: InferenceRequest, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for output in request.outputs or ():
        if output.name not in names:
            refuse(f"the model has no output {shown(output.name)}; it has {_listed(names)}")
        if output.name in seen:
            refuse(f"output {shown(output.name)} is asked for twice")
        seen.add(output.name)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shown(name) for name in names)


def _sizes(shape: Sequence[int]) -> str:
    return shown(" ".join(map(str, shape)))

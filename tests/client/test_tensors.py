"""Tensors through the SDK: arrays, buffers and pictures in, tensors out, and answers that are no such thing."""

import asyncio
import json
from array import array
from typing import Any

import httpx
import numpy as np
import pytest

from client import AsyncEdgeClient, EdgeClient, Refused, Tensor
from client.errors import Malformed
from client.sdk.answers import Answer
from client.sdk.tensors import NoTensor, outputs_of
from contract.codes import ErrorCode
from contract.paths import INFERENCE_HEADER_LENGTH
from contract.tensors import DATATYPES
from tests.agents import RunningAgent
from tests.images import digit


def test_a_picture_and_its_tensor_give_the_same(secured_agent: RunningAgent) -> None:
    """A file as bytes, an array, and a buffer with a shape."""
    with EdgeClient(secured_agent.host) as client:
        of_file = client.infer("digits", {"image": digit(5)})["probabilities"]
        assert (of_file.datatype, of_file.shape) == ("INT8", (1, 10))
        assert int(of_file.numpy().argmax()) == 5
        assert max(of_file.elements()) == of_file.elements()[5]
        pixels = np.full((2, 8, 8, 1), -128, np.int8)
        buffer = memoryview(array("b", pixels.ravel().tolist())).cast("B").cast("b", pixels.shape)
        of_array = client.infer("digits", {"image": pixels}, ["probabilities"])
        assert of_array == client.infer("digits", {"image": buffer})
        assert of_array["probabilities"].shape == (2, 10)


def test_the_asynchronous_client_infers_too(secured_agent: RunningAgent) -> None:
    """The same call."""

    async def infer() -> dict[str, Tensor]:
        async with AsyncEdgeClient(secured_agent.host) as client:
            return await client.infer("digits", {"image": digit(6)})

    assert int(asyncio.run(infer())["probabilities"].numpy().argmax()) == 6


def test_refusals_come_with_their_code(secured_agent: RunningAgent) -> None:
    """Though the protocol's own errors have no place for it."""
    with EdgeClient(secured_agent.host) as client:
        with pytest.raises(Refused, match="is INT8") as refused:
            client.infer("digits", {"image": np.zeros(3, np.float32)})
        assert refused.value.problem.code == ErrorCode.INVALID_TENSOR
        with pytest.raises(Refused, match="no model 'nobody'") as refused:
            client.infer("nobody", {})
        assert refused.value.problem.code == ErrorCode.UNKNOWN_MODEL


@pytest.mark.parametrize("name", DATATYPES)
def test_every_datatype_is_what_numpy_has(name: str) -> None:
    """As an array, and as the buffer of one."""
    values = np.array([[0, 1], [1, 0]]).astype(name)
    tensor = Tensor.of(values)
    assert (tensor.datatype, tensor.shape) == (DATATYPES[name], (2, 2))
    assert tensor == Tensor.of(memoryview(values))  # type: ignore[arg-type]
    np.testing.assert_array_equal(tensor.numpy(), values)
    assert tensor.elements() == values.ravel().tolist()


def test_what_is_no_tensor_is_said_before_anything_is_sent() -> None:
    """Complex numbers, and bytes in another order."""
    for odd in (np.zeros(1, complex), np.zeros(1, ">f4"), np.array(["x"])):
        with pytest.raises(NoTensor, match="no datatype"):
            Tensor.of(odd)


def answer(outputs: Any, content: bytes = b"", length: object = None) -> Answer:
    header = json.dumps({"model_name": "x", "outputs": outputs}).encode()
    given = {"content-type": "application/octet-stream", INFERENCE_HEADER_LENGTH: str(length or len(header))}
    return Answer(200, httpx.Headers(given), header + content)


def output(shape: list[Any], size: int, datatype: str = "FP32", name: str = "y") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


@pytest.mark.parametrize(
    "wrong",
    [
        answer([output([2], 8)], bytes(7)),
        answer([output([2], 8)], bytes(9)),
        answer([output([3], 8)], bytes(8)),
        answer([output([2**62, 4], 0)]),
        answer([output([-1, -2], 8)], bytes(8)),
        answer([output([2], 8, "FP31")], bytes(8)),
        answer([output([2], 8), output([2], 8)], bytes(16)),
        answer([], length=10**8),
        answer([], length="x"),
        answer([], length="9" * 30),
        Answer(200, httpx.Headers({"content-type": "application/json"}), b"{}"),
    ],
    ids=range(11),
)
def test_answers_that_do_not_add_up_are_refused(wrong: Answer) -> None:
    """Whatever an agent that means harm says of sizes and shapes."""
    with pytest.raises(Malformed):
        outputs_of(wrong)

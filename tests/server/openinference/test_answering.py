"""The worker's side of the Open Inference Protocol: bodies in, bodies out, on a model that repeats its inputs."""

import base64
import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.codes import ErrorCode
from contract.tensors import DATATYPES, tensor_names
from server.openinference.worker.answering import answer
from server.openinference.worker.coding import compress
from server.openinference.worker.format import BodyFormat
from server.routes.v2_infer import accepted
from server.runtimes.base import Array, Tensor
from server.tasks.base import OrderFailed
from tests.server.openinference.bodies import binary, body, described, read_reply

MAX_BYTES = 1 << 20


def tensor(name: str, dtype: str, *shape: int) -> Tensor:
    return Tensor(name, shape, dtype, None, None)


class Echo:
    """A model that puts out what is put in, under the same names."""

    name = "echo"

    def __init__(self, *inputs: Tensor, max_batch: int = 8, labels: Mapping[int, str] | None = None) -> None:
        self.inputs: Sequence[Tensor] = inputs
        self.outputs: Sequence[Tensor] = inputs
        self.labels = labels or {}
        self.max_batch = max_batch
        self.takes_images = inputs[0].dtype == "uint8"
        self.batches: list[int] = []

    def image(self, encoded: memoryview) -> Array:
        """A picture here is its own bytes."""
        return np.frombuffer(encoded, np.uint8).reshape(1, -1)

    def invoke(self, arrays: Sequence[Array], batch: int) -> Sequence[Array]:
        """The arrays themselves, checked as a runtime would not."""
        self.batches.append(batch)
        for array, each in zip(arrays, self.inputs, strict=True):
            assert (array.dtype.name, array.shape[1:]) == (each.dtype, each.shape[1:])
            assert array.flags.aligned
            assert array.flags.c_contiguous
        return arrays


def ask(
    model: Echo, content: bytes, header_bytes: int | None = None, coding: str | None = None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    reply = answer(memoryview(content), BodyFormat(header_bytes, MAX_BYTES, coding), model)
    whole = b"".join(reply.parts)
    return read_reply(whole, len(reply.header))


def refusal(model: Echo, content: bytes, header_bytes: int | None = None, coding: str | None = None) -> OrderFailed:
    with pytest.raises(OrderFailed) as refused:
        ask(model, content, header_bytes, coding)
    assert model.batches == []
    return refused.value


def values(dtype: str) -> NDArray[Any]:
    """Six elements, the type's extremes among them."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.array([[True, False, True], [False, False, True]])
    if kind.kind == "f":
        extremes = np.finfo(kind)
        return np.array([[extremes.max, extremes.min, extremes.tiny], [0.1, -0.0, 3]], kind)
    bounds = np.iinfo(kind)
    return np.array([[bounds.max, bounds.min, 0], [1, 2, 3]], kind)


@pytest.mark.parametrize("dtype", DATATYPES)
@pytest.mark.parametrize("way", ["nested", "flat", "binary"])
def test_every_datatype_comes_back_as_it_went_in(dtype: str, way: str) -> None:
    """In JSON, nested or flat, and as binary data; the extremes of each type included."""
    model, array = Echo(tensor("x", dtype, 1, 3)), values(dtype)
    given = {"nested": described("x", array), "flat": described("x", array, data=array.ravel().tolist())}
    if way == "binary":
        header, found = ask(
            model, *body([binary("x", array)], array.tobytes(), parameters={"binary_data_output": True})
        )
    else:
        header, found = ask(model, body([given[way]])[0])
    assert header["outputs"][0]["datatype"] == DATATYPES[dtype]
    assert found["x"].dtype == array.dtype
    np.testing.assert_array_equal(found["x"], array)
    assert model.batches == [2]


def test_the_reply_names_model_version_and_request() -> None:
    """The id comes back as it was sent, and is absent where none was."""
    model, array = Echo(tensor("x", "float32", 1, 2)), np.ones((1, 2), np.float32)
    header, _ = ask(model, body([described("x", array)], id="order \u202e 7")[0])
    assert (header["id"], header["model_name"], header["model_version"]) == ("order \u202e 7", "echo", "1")
    header, _ = ask(model, body([described("x", array)])[0])
    assert "id" not in header


def test_binary_and_json_mix_in_one_request() -> None:
    """Inputs in any order, each in its own way, and outputs in the order and way they are asked for."""
    model = Echo(tensor("a", "float32", 1, 2), tensor("b", "int64", 1, 3), tensor("c", "bool", 1, 1))
    a, b, c = np.array([[1, np.nan]], np.float32), np.array([[1, 2, 3]]), np.array([[True]])
    outputs = [{"name": "b"}, {"name": "a", "parameters": {"binary_data": True}}]
    content, size = body([binary("c", c), described("b", b), binary("a", a)], b"\x07", a.tobytes(), outputs=outputs)
    header, found = ask(model, content, size)
    assert [output["name"] for output in header["outputs"]] == ["b", "a"]
    np.testing.assert_array_equal(found["b"], b)
    np.testing.assert_array_equal(found["a"], a)
    _, found = ask(
        model,
        *body([binary("c", c), described("b", b), binary("a", a * 0)], b"\x07", bytes(8), outputs=[{"name": "c"}]),
    )
    assert found["c"].tolist() == [[True]]  # a byte of 7 is true, and nothing but a boolean reaches the model


def test_a_bare_tensor_is_the_one_input_and_all_outputs_are_binary() -> None:
    """Triton's raw binary request: Inference-Header-Content-Length is 0."""
    model, array = Echo(tensor("x", "float32", 1, 2)), np.array([[1, 2]], np.float32)
    header, found = ask(model, array.tobytes(), 0)
    assert header["outputs"][0]["parameters"] == {"binary_data_size": 8}
    np.testing.assert_array_equal(found["x"], array)
    assert "has 8 bytes, 7 were sent" in str(refusal(Echo(tensor("x", "float32", 1, 2)), b"1234567", 0))
    assert "this one has 2" in str(refusal(Echo(tensor("x", "int8", 1, 2), tensor("y", "int8", 1, 2)), b"1234", 0))


@pytest.mark.parametrize(
    ("count", "expected"), [(2, ["4:1:pear", "3.5:3"]), (9, ["4:1:pear", "3.5:3", "3:2:plum", "1:0"])]
)
def test_classification_gives_the_largest_with_index_and_label(count: int, expected: list[str]) -> None:
    """As `value:index:label`, of each item of a batch; more classes than there are gives all."""
    model = Echo(tensor("x", "float32", 1, 4), labels={1: "pear", 2: "plum"})
    array = np.array([[1, 4, 3, 3.5], [1, 4, 3, 3.5]], np.float32)
    for way in (True, False):
        parameters = {"classification": count, "binary_data": way}
        header, found = ask(model, body([described("x", array)], outputs=[{"name": "x", "parameters": parameters}])[0])
        assert header["outputs"][0]["datatype"] == "BYTES"
        assert header["outputs"][0]["shape"] == [2, len(expected)]
        said = [[text.replace(".0:", ":") for text in row] for row in found["x"].tolist()]
        assert said == [expected, expected]


def test_an_encoded_picture_is_taken_as_bytes() -> None:
    """As a binary BYTES tensor, or as base64 in JSON; several are a batch."""
    model = Echo(tensor("x", "uint8", 1, 3))
    pictures = [b"abc", b"xyz"]
    content = b"".join(len(each).to_bytes(4, "little") + each for each in pictures)
    entry = {"name": "x", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(content)}}
    _, found = ask(model, *body([entry], content))
    assert found["x"].tobytes() == b"abcxyz"
    entry = {
        "name": "x",
        "datatype": "BYTES",
        "shape": [2, 1],
        "data": [base64.b64encode(each).decode() for each in pictures],
    }
    _, found = ask(model, body([entry])[0])
    assert found["x"].tobytes() == b"abcxyz"
    assert model.batches == [2, 2]


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies_are_read_within_the_limit(coding: str, pack: Any) -> None:
    """A bomb is refused before it is unpacked, a damaged body and what follows one as well."""
    array = np.ones((1, 2), np.float32)
    content, size = body([binary("x", array)], array.tobytes())
    _, found = ask(Echo(tensor("x", "float32", 1, 2)), pack(content), size, coding)
    np.testing.assert_array_equal(found["x"], array)
    model = Echo(tensor("x", "float32", 1, 2))
    bomb = pack(bytes(MAX_BYTES + 1))
    assert refusal(model, bomb, size, coding).code is ErrorCode.TOO_MANY_BYTES
    assert "cut off" in str(refusal(model, pack(content)[:-3], size, coding))
    assert "follows" in str(refusal(model, pack(content) + b"more", size, coding))
    assert "not valid" in str(refusal(model, content, size, coding))


def test_replies_are_compressed_as_asked() -> None:
    """The first coding of Accept-Encoding that is known and not forbidden."""
    assert accepted("br, gzip;q=0.5, deflate") == "gzip"
    assert accepted("gzip;q=0, deflate") == "deflate"
    assert accepted("identity, br") is None
    assert gzip.decompress(compress([memoryview(b"one"), memoryview(b"two")], "gzip")) == b"onetwo"
    assert zlib.decompress(compress([memoryview(b"one")], "deflate")) == b"one"


X = np.zeros((1, 2), np.float32)
WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": (b"{", "not JSON"),
    "empty header": (b"", "no JSON header"),
    "an array": (b"[]", "is a JSON object, not an array"),
    "not UTF-8": (b"\xff{}", "not UTF-8"),
    "nested deeply": (b"[" * 200_000, "nested too deeply"),
    "an endless number": (b'{"inputs": ' + b"9" * 10_000 + b"}", "not JSON"),
    "NaN": (b'{"inputs": NaN}', "NaN is not JSON"),
    "no inputs": ({}, "inputs is a JSON array, not missing"),
    "input of no kind": ({"inputs": [7]}, "an input is a JSON object, not a number"),
    "unknown input": ({"inputs": [described("y", X)]}, "no input 'y'; it has 'x'"),
    "input twice": ({"inputs": [described("x", X)] * 2}, "twice"),
    "input missing": ({"inputs": []}, "also needs 'x'"),
    "other datatype": ({"inputs": [described("x", X, datatype="FP64")]}, "is FP32, not 'FP64'"),
    "bfloat": ({"inputs": [described("x", X, datatype="BF16")]}, "is FP32, not 'BF16'"),
    "datatype of no kind": ({"inputs": [described("x", X, datatype=["FP32"])]}, "is a string, not an array"),
    "picture to a model of numbers": ({"inputs": [described("x", X, datatype="BYTES")]}, "is FP32, not 'BYTES'"),
    "other shape": ({"inputs": [described("x", X, shape=[1, 3])]}, "[-1, 2], not '1 3'"),
    "rank": ({"inputs": [described("x", X, shape=[1, 1, 2])]}, "[-1, 2], not '1 1 2'"),
    "too many dimensions": ({"inputs": [described("x", X, shape=[1] * 33)]}, "33 dimensions"),
    "negative": ({"inputs": [described("x", X, shape=[-1, 2])]}, "holds -1"),
    "fraction": ({"inputs": [described("x", X, shape=[1.0, 2])]}, "holds 1.0"),
    "boolean dimension": ({"inputs": [described("x", X, shape=[True, 2])]}, "holds True"),
    "shape of no kind": ({"inputs": [described("x", X, shape="1,2")]}, "is a JSON array, not a string"),
    "2^63": ({"inputs": [described("x", X, shape=[2**63, 2])]}, "brings 9223372036854775808 items"),
    "overflow": ({"inputs": [described("x", X, shape=[2**62, 2**62])]}, "[-1, 2], not"),
    "no items": ({"inputs": [described("x", X, shape=[0, 2], data=[])]}, "brings 0 items"),
    "too many items": ({"inputs": [described("x", X, shape=[9, 2])]}, "takes 1 to 8"),
    "too few elements": ({"inputs": [described("x", X, data=[1])]}, "has 2 elements, 1 were sent"),
    "ragged": ({"inputs": [described("x", X, data=[[1, 2], [3]])]}, "not nested as its shape"),
    "mixed nesting": ({"inputs": [described("x", X, data=[[1, 2], 3])]}, "not nested as its shape"),
    "nested too far": ({"inputs": [described("x", X, data=[[[1], [2]]])]}, "holds an array"),
    "words": ({"inputs": [described("x", X, data=["1", 2])]}, "is FP32 and holds '1'"),
    "null": ({"inputs": [described("x", X, data=[None, 2])]}, "holds None"),
    "true": ({"inputs": [described("x", X, data=[True, 2])]}, "holds True"),
    "object": ({"inputs": [described("x", X, data=[{}, 2])]}, "holds an object"),
    "beyond single": ({"inputs": [described("x", X, data=[1e39, 2])]}, "holds 1e+39"),
    "beyond double": (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1e999, 1]}]}', "inf"),
    "beyond all": ({"inputs": [described("x", X, data=[10**400, 2])]}, "beyond float64"),
    "data of no kind": ({"inputs": [described("x", X, data=7)]}, "is a JSON array"),
    "neither data nor binary": ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2]}]}, "needs either"),
    "both": ({"inputs": [described("x", X, data=[1, 2], parameters={"binary_data_size": 8})]}, "needs either"),
    "binary that is not there": ({"inputs": [binary("x", X)]}, "announce 8 bytes of binary data, 0 follow"),
    "shape without its bytes": (
        {"inputs": [described("x", X, parameters={"binary_data_size": 0})]},
        "has 8 bytes, 0 were sent",
    ),
    "binary of no size": ({"inputs": [described("x", X, parameters={"binary_data_size": "8"})]}, "whole number"),
    "negative binary": ({"inputs": [described("x", X, parameters={"binary_data_size": -8})]}, "whole number"),
    "huge binary": ({"inputs": [described("x", X, parameters={"binary_data_size": 2**63})]}, "announce 92233"),
    "shared memory": (
        {"inputs": [described("x", X, data=[1, 2], parameters={"shared_memory_region": "r"})]},
        "does not offer",
    ),
    "parameters of no kind": ({"inputs": [described("x", X, data=[1, 2], parameters=[1])]}, "`parameters` of"),
    "id of no kind": ({"inputs": [described("x", X)], "id": 7}, "the id of a request is a string"),
    "long id": ({"inputs": [described("x", X)], "id": "7" * 2000}, "at most 1024 characters"),
    "unknown output": ({"inputs": [described("x", X)], "outputs": [{"name": "y"}]}, "no output 'y'; it has 'x'"),
    "output twice": ({"inputs": [described("x", X)], "outputs": [{"name": "x"}] * 2}, "asked for twice"),
    "no classes": (
        {"inputs": [described("x", X)], "outputs": [{"name": "x", "parameters": {"classification": 0}}]},
        "at least 1",
    ),
    "half a class": (
        {"inputs": [described("x", X)], "outputs": [{"name": "x", "parameters": {"classification": 0.5}}]},
        "whole number",
    ),
    "flag of no kind": (
        {"inputs": [described("x", X)], "outputs": [{"name": "x", "parameters": {"binary_data": 1}}]},
        "true or false",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_in_clear_words(case: str) -> None:
    """And the model does not see it."""
    given, expected = WRONG[case]
    content = given if isinstance(given, bytes) else json.dumps(given).encode()
    refused = refusal(Echo(tensor("x", "float32", 1, 2)), content)
    assert refused.code is ErrorCode.INVALID_TENSOR
    assert expected in str(refused)
    assert len(str(refused)) < 400


@pytest.mark.parametrize(
    ("dtype", "data"), [("uint8", [256, 0]), ("int8", [-129, 0]), ("uint64", [-1, 0]), ("int64", [2**63, 0])]
)
def test_whole_numbers_beyond_their_type_are_refused(dtype: str, data: list[int]) -> None:
    """They would wrap around."""
    model = Echo(tensor("x", dtype, 1, 2))
    entry = {"name": "x", "datatype": DATATYPES[dtype], "shape": [1, 2], "data": data}
    assert DATATYPES[dtype] in str(refusal(model, body([entry])[0]))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x03\0\0\0ab", "announces 3 bytes, 2 follow"),
        (b"\x03\0", "ends within the length"),
        (b"\xff\xff\xff\xff1", "announces 4294967295 bytes"),
        (b"\x03\0\0\0abcd", "1 bytes follow the last"),
    ],
)
def test_elements_of_binary_bytes_have_to_sum_up(content: bytes, expected: str) -> None:
    """Each says its length, and nothing may be left or missing."""
    entry = {"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(content)}}
    assert expected in str(refusal(Echo(tensor("x", "uint8", 1, 3)), *body([entry], content)))


def test_inputs_have_to_agree_on_the_batch() -> None:
    """Two items of one input and one of another make no request."""
    model = Echo(tensor("a", "int8", 1, 1), tensor("b", "int8", 1, 1))
    a, b = np.zeros((2, 1), np.int8), np.zeros((1, 1), np.int8)
    assert "brings 1 items, the inputs before it 2" in str(
        refusal(model, body([described("a", a), described("b", b)])[0])
    )


def test_a_model_without_batches_takes_its_own_shape_alone() -> None:
    """Whatever its first dimension means."""
    model = Echo(tensor("x", "float32", 5, 2), max_batch=1)
    array = np.zeros((5, 2), np.float32)
    assert ask(model, body([described("x", array)])[0])[1]["x"].shape == (5, 2)
    assert model.batches == [1]
    model = Echo(tensor("x", "float32", 5, 2), max_batch=1)
    assert "[5, 2], not '1 2'" in str(refusal(model, body([described("x", array[:1])])[0]))


def test_json_that_would_take_too_much_memory_is_not_parsed() -> None:
    """Ten megabytes of empty objects would take a quarter of a gigabyte."""
    content = b'{"inputs": [' + b"{}," * 600_000 + b"{}]}"
    assert refusal(Echo(tensor("x", "float32", 1, 2)), content).code is ErrorCode.TOO_MANY_BYTES


def test_what_json_cannot_say_is_asked_for_as_binary() -> None:
    """NaN comes back as binary data, and as JSON not at all."""
    model, array = Echo(tensor("x", "float32", 1, 2)), np.array([[np.nan, 1]], np.float32)
    content, size = body([binary("x", array)], array.tobytes())
    with pytest.raises(OrderFailed, match="binary_data"):
        ask(model, content, size)
    content, size = body([binary("x", array)], array.tobytes(), parameters={"binary_data_output": True})
    np.testing.assert_array_equal(ask(model, content, size)[1]["x"], array)


def test_unknown_parameters_are_left_alone() -> None:
    """As the protocol says: they are for other servers."""
    model, array = Echo(tensor("x", "float32", 1, 2)), np.ones((1, 2), np.float32)
    entry = described("x", array, data=[1, 1], parameters={"content_type": "np", "binary_data": False})
    header, _ = ask(model, body([entry], parameters={"sequence_id": 5, "priority": 1}, model_name="other")[0])
    assert header["model_name"] == "echo"


def test_tensors_without_a_name_of_their_own_get_one() -> None:
    """The protocol tells tensors by name."""
    assert tensor_names(["", "x", "x", "input_0"], "input") == ["input_0", "x", "x_2", "input_0_3"]

"""Datagrams between the agent and a worker, the wrong ones of a hostile worker too."""

import json
from dataclasses import replace
from typing import Any

import pytest

from contract.codes import ErrorCode
from contract.tasks import Task
from server.openinference.worker.format import BodyFormat
from server.workers.messages import (
    Failed,
    ImageFeed,
    Infer,
    Inferred,
    ModelSource,
    ModelSpec,
    Order,
    Predict,
    Prepare,
    decode_answer,
    decode_order,
    encode_answer,
    encode_order,
)

SPEC = ModelSpec(
    source=ModelSource("openvino", "/models/a.xml", "sha256:00", {"a.bin": "/models/a.bin"}),
    task=Task.DETECTION,
    image=ImageFeed([(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)], "letterbox"),
    reading={"form": "yolo-v8"},
    labels="/models/labels",
)
FORMAT = BodyFormat(header_bytes=120, coding="gzip", reply_coding=None, max_bytes=1 << 20)
INFERRED = Inferred(7, 4096, 143, "deflate", 8, 1, 10, 10, 20, 30, 40)


@pytest.mark.parametrize(
    "order",
    [
        Prepare(1, SPEC, 2),
        Predict(SPEC, 0, 100, None, 1 << 20, {"top_k": 5, "min_score": 0.25}, id=2, threads=1),
        Infer(SPEC, "a model", 4096, 100, FORMAT, 1 << 20, id=3, threads=4, result_offset=1 << 26),
    ],
    ids=lambda order: type(order).__name__,
)
def test_an_order_arrives_as_it_was_given(order: Order) -> None:
    assert decode_order(encode_order(order)) == order


@pytest.mark.parametrize("changes", [{}, {"header_bytes": None, "coding": None}, {"size": 0, "header_bytes": 0}])
def test_numbers_arrive_as_they_were_answered(changes: dict[str, Any]) -> None:
    answer = replace(INFERRED, **changes)
    assert decode_answer(encode_answer(answer)) == answer


def test_a_body_does_not_travel_in_the_datagram() -> None:
    assert decode_answer(encode_answer(replace(INFERRED, body=b"a tensor"))) == INFERRED


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"#",
        encode_answer(INFERRED)[:-1],
        encode_answer(INFERRED) + b"\0",
        encode_answer(replace(INFERRED, header_bytes=4097)),
        encode_answer(replace(INFERRED, header_bytes=-2)),
        json.dumps(["Inferred", vars(INFERRED) | {"body": "chosen by the worker"}], default=str).encode(),
        json.dumps(["Predict", {}]).encode(),
        json.dumps(["Failed", {"id": 1, "code": "no such code", "detail": ""}]).encode(),
        json.dumps(["Failed", {"id": 1, "detail": ""}]).encode(),
        b"\xff\xfe",
        b"[",
        b"[]",
        b"5",
    ],
    ids=repr,
)
def test_what_nobody_can_read_is_a_known_error(datagram: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, IndexError)):
        decode_answer(datagram)


def test_a_coding_that_no_answer_has_is_a_known_error() -> None:
    packed = bytearray(encode_answer(INFERRED))
    packed[1 + 3 * 8] = 99
    with pytest.raises(IndexError):
        decode_answer(bytes(packed))


def test_a_failure_arrives_with_its_code() -> None:
    failed = Failed(4, ErrorCode.MODEL_REJECTED, "no")
    assert decode_answer(encode_answer(failed)) == failed

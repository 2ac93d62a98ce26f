"""Detectors: pushed, recognised, asked about pictures, and what is said where none fits."""

import io
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from contract.codes import ErrorCode
from contract.detect import DetectBatchReply, DetectReply
from contract.models import ModelDescription
from contract.tasks import Task
from tests.agents import RunningAgent, running_agent
from tests.detectors import INPUT_SIDE, spots, ssd
from tests.images import digit
from tests.server.test_classify import problem
from tests.server.test_models import put_blob, put_model

SIDE = 64
PLACES = 8 * 8 + 4 * 4 + 2 * 2
"""Of a YOLO head on 64 x 64 with strides 8, 16 and 32."""
LABELS = b"cat\ndog\n"
EXIF_ROTATED = 6


def yolo_v8(boxes: list[tuple[float, float, float, float, int, float]]) -> bytes:
    """A detector that finds the same in every picture: centre, size, class and score, in pixels of its input."""
    head = np.zeros((1, 4 + 2, PLACES), np.float32)
    head[0, 2:4] = 1
    for number, (x, y, width, height, index, score) in enumerate(boxes):
        head[0, :4, number] = x, y, width, height
        head[0, 4 + index, number] = score
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0),
            helper.make_node("Mul", ["least", "nothing"], ["zero"]),
            helper.make_node("Add", ["head", "zero"], ["found"]),
        ],
        "yolo",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, list(head.shape))],
        [numpy_helper.from_array(head, "head"), numpy_helper.from_array(np.zeros((), np.float32), "nothing")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def photo(width: int, height: int, orientation: int = 1) -> bytes:
    """A grey JPEG whose file is of that size."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.new("RGB", (width, height), "grey").save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.fixture
def pets(agent: RunningAgent) -> str:
    """A detector of two boxes of dogs that overlap, and one cat."""
    model = yolo_v8([(32, 32, 16, 16, 1, 0.9), (33, 32, 16, 16, 1, 0.8), (16, 32, 8, 4, 0, 0.5)])
    with agent.http() as http:
        response = put_model(http, "pets", model, format="onnx", labels=put_blob(http, LABELS))
        assert response.status_code in (200, 201), response.text
    return "pets"


def detect(http: httpx.Client, model: str, image: bytes, **options: object) -> DetectReply:
    params = {name: str(value) for name, value in options.items()}
    response = http.post(f"/v1/models/{model}/detect", content=image, params=params)
    assert response.status_code == 200, response.text
    return DetectReply.model_validate_json(response.content)


def test_a_yolo_head_is_recognised_when_it_is_pushed(agent: RunningAgent, pets: str) -> None:
    """Its task, how its boxes are read and how it wants pictures are guessed, and said to be."""
    with agent.http() as http:
        described = ModelDescription.model_validate_json(http.get(f"/v1/models/{pets}").content)
    assert (described.task, described.task_assumed, described.class_count) == ("detection", True, 2)
    assert described.detection is not None and described.preprocessing is not None
    assert (described.detection.form, described.detection.coordinates) == ("yolo_v8", "pixels")
    assert described.preprocessing.fit == "letterbox"
    assert "scores are [1, classes]" in described.unfit[Task.CLASSIFICATION]


def test_boxes_come_back_in_pixels_of_the_file(agent: RunningAgent, pets: str) -> None:
    """The letterbox is undone, of the overlapping boxes the best stays, and suppression is a stage of its own."""
    with agent.http() as http:
        reply = detect(http, pets, photo(640, 320))
    assert [(each.label, round(each.score, 3)) for each in reply.detections] == [("dog", 0.9), ("cat", 0.5)]
    dog, cat = (each.box_px for each in reply.detections)
    # 640 x 320 lies on 64 x 64 at a tenth, below a border of 16.
    assert (dog.left, dog.top, dog.right, dog.bottom) == pytest.approx((240, 80, 400, 240), abs=0.01)
    assert (cat.left, cat.top, cat.right, cat.bottom) == pytest.approx((120, 140, 200, 180), abs=0.01)
    assert reply.timing_ms.suppression is not None
    assert reply.timing_ms.suppression <= reply.timing_ms.total


def test_exif_rotation_is_undone(agent: RunningAgent, pets: str) -> None:
    """A file that is shown turned a quarter to the right: boxes are on its own grid, which is not turned."""
    with agent.http() as http:
        reply = detect(http, pets, photo(320, 640, EXIF_ROTATED))
    _, cat = (each.box_px for each in reply.detections)
    # Shown, it is 640 x 320 and the cat at 120..200 x 140..180; x runs up the file's columns from below, y across them.
    assert reply.image.exif_orientation == EXIF_ROTATED
    assert (cat.left, cat.top, cat.right, cat.bottom) == pytest.approx((140, 440, 180, 520), abs=0.01)


def test_options_choose_what_is_told(agent: RunningAgent, pets: str) -> None:
    """Score, overlap and number."""
    with agent.http() as http:
        assert [each.label for each in detect(http, pets, photo(64, 64), min_score=0.6).detections] == ["dog"]
        both = detect(http, pets, photo(64, 64), iou_threshold=0.95).detections
        assert [each.label for each in both] == ["dog", "dog", "cat"]
        assert len(detect(http, pets, photo(64, 64), iou_threshold=0.95, max_detections=1).detections) == 1
        assert problem(http.post(f"/v1/models/{pets}/detect?min_score=2", content=photo(8, 8))).status == 422


def test_several_pictures_in_one_request(agent: RunningAgent, pets: str) -> None:
    """A picture that cannot be read spoils no other."""
    files = [("image", ("good.jpg", photo(64, 64))), ("image", ("bad.jpg", b"no picture"))]
    with agent.http() as http:
        response = http.post(f"/v1/models/{pets}/detect", files=files)
    good, bad = DetectBatchReply.model_validate_json(response.content).results
    assert good.result is not None and len(good.result.detections) == 2
    assert bad.problem is not None and bad.problem.code == ErrorCode.NOT_AN_IMAGE


def test_each_task_has_its_own_path(agent: RunningAgent, pets: str) -> None:
    """A detector does not classify and a classifier detects nothing; each says what the model is for."""
    with agent.http() as http:
        classified = problem(http.post(f"/v1/models/{pets}/classify", content=photo(64, 64)))
        detected = problem(http.post("/v1/models/digits/detect", content=digit(3)))
        declared = problem(put_model(http, "wrong", yolo_v8([]), format="onnx", task="classification"))
    assert (classified.code, classified.status) == (ErrorCode.NOT_A_CLASSIFIER, 422)
    assert "for detection" in classified.detail
    assert (detected.code, detected.status) == (ErrorCode.NOT_A_DETECTOR, 422)
    assert (declared.code, declared.status) == (ErrorCode.NOT_A_CLASSIFIER, 422)


def test_a_model_of_any_tensors_may_be_declared_as_such(agent: RunningAgent) -> None:
    """What fits a task may still be pushed for its tensors alone."""
    with agent.http() as http:
        response = put_model(http, "numbers", yolo_v8([]), format="onnx", task="tensor")
        described = ModelDescription.model_validate_json(response.content)
        refused = problem(http.post("/v1/models/numbers/detect", content=photo(64, 64)))
    assert (described.task, described.task_assumed, described.detection) == ("tensor", False, None)
    assert refused.code == ErrorCode.NOT_A_DETECTOR


def test_outputs_that_make_no_sense_cost_one_request(agent: RunningAgent) -> None:
    """Scores above 1 are noticed when the model is tried: it is no detector."""
    model = onnx.load_model_from_string(yolo_v8([(32, 32, 16, 16, 1, 7.5)])).SerializeToString()
    with agent.http() as http:
        described = ModelDescription.model_validate_json(put_model(http, "wild", model, format="onnx").content)
    assert described.task == "tensor"
    assert "0 to 1" in described.unfit[Task.DETECTION]


def test_a_detector_with_its_own_suppression_finds_every_class(tmp_path: Path) -> None:
    """On two threads LiteRT's operator loses classes: such a model gets one, and the reply says so."""
    places = [((8, 8, 16, 16), "red"), ((40, 8, 48, 16), "green"), ((8, 40, 16, 48), "blue")]
    scene = io.BytesIO()
    Image.fromarray(spots((INPUT_SIDE, INPUT_SIDE), places)).save(scene, "PNG")
    with running_agent(tmp_path, "--workers", "1", "--threads", "2") as alone, alone.http() as http:
        described = ModelDescription.model_validate_json(put_model(http, "spots", ssd()).content)
        reply = detect(http, "spots", scene.getvalue(), min_score=0.9)
    assert described.detection is not None and described.detection.form == "tflite_postprocess"
    assert reply.runtime.threads == 1
    assert len({each.index for each in reply.detections}) == len(places)

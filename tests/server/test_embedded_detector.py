"""The detector that ships with the agent: there from the start, and recognised when pushed."""

import json

import pytest
from PIL import Image

from contract.codes import ErrorCode
from contract.models import ModelDescription, ModelList
from image_model.average_precision import Box, overlap
from image_model.catalog import EMBEDDED_FOLDER, load_catalog
from tests.agents import RunningAgent
from tests.images import digit, encoded
from tests.server.test_classify import problem
from tests.server.test_detect import detect
from tests.server.test_models import put_blob, put_model

NAME = "digits-detector"
ENTRY = load_catalog()[NAME]
SCENES = EMBEDDED_FOLDER / "scenes"
TRUTH = json.loads((SCENES / "scenes.json").read_text())


def test_it_is_there_from_the_start_and_is_not_the_default(agent: RunningAgent) -> None:
    """Its task and how its boxes are read are declared, not guessed; requests that name no model still classify."""
    with agent.http() as http:
        described = ModelDescription.model_validate_json(http.get(f"/v1/models/{NAME}").content)
        models = ModelList.model_validate_json(http.get("/v1/models").content)
        chosen = problem(http.put("/v1/default-model", json={"name": NAME}))
    assert (described.task, described.task_assumed, described.embedded) == ("detection", False, True)
    assert (described.class_count, described.label_count) == (10, 10)
    assert models.default != NAME
    assert chosen.code == ErrorCode.NOT_A_CLASSIFIER


@pytest.mark.parametrize("image", TRUTH["images"], ids=lambda image: image["file_name"])
def test_it_finds_the_digits_of_its_sample_scenes(agent: RunningAgent, image: dict[str, object]) -> None:
    """Each with its name, in pixels of the file, one of which lies on its side."""
    with agent.http() as http:
        reply = detect(http, NAME, (SCENES / str(image["file_name"])).read_bytes())
    there = [each for each in TRUTH["annotations"] if each["image_id"] == image["id"]]
    right = 0
    for each in there:
        left, top, width, height = each["bbox"]
        box: Box = (left, top, left + width, top + height)
        right += any(
            found.label == str(each["category_id"])
            and overlap((found.box_px.left, found.box_px.top, found.box_px.right, found.box_px.bottom), box) > 0.6
            for found in reply.detections
        )
    assert right >= 0.75 * len(there)


def test_a_picture_without_digits_has_none(agent: RunningAgent) -> None:
    """A blank sheet gives an empty list, not an error."""
    with agent.http() as http:
        assert detect(http, NAME, encoded(Image.new("L", (200, 150), 210))).detections == []


def test_a_digit_that_is_too_large_is_no_error(agent: RunningAgent) -> None:
    """The samples of the classifier fill their picture; and classes are not asked of a detector."""
    with agent.http() as http:
        detect(http, NAME, digit(3))
        assert problem(http.post(f"/v1/models/{NAME}/classify", content=digit(3))).code == ErrorCode.NOT_A_CLASSIFIER


def test_pushed_under_another_name_it_is_recognised(agent: RunningAgent) -> None:
    """Ten labels confirm a head of one stride: nothing has to be declared but the ink."""
    with agent.http() as http:
        labels = put_blob(http, (EMBEDDED_FOLDER / ENTRY.labels.name).read_bytes())
        model = (EMBEDDED_FOLDER / ENTRY.model.name).read_bytes()
        preprocessing = {"input_range": [1.0, 0.0], "fit": "letterbox"}
        response = put_model(http, "found-again", model, labels=labels, preprocessing=preprocessing)
        described = ModelDescription.model_validate_json(response.content)
        scene = (SCENES / "scene-1.jpg").read_bytes()
        mine, theirs = (detect(http, name, scene).detections for name in ("found-again", NAME))
        assert http.delete("/v1/models/found-again").status_code in (200, 204)
    assert described.detection is not None
    assert (described.task, described.task_assumed) == ("detection", True)
    assert (described.detection.form, described.detection.coordinates) == (ENTRY.form, ENTRY.coordinates)
    assert mine == theirs

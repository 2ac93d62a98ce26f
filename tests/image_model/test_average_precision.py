"""Average precision is pycocotools' own, on ordinary and on odd findings."""

import contextlib
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from image_model.average_precision import Box, Detection, Picture, Truth, average_precision

CLASSES = 4


def cocos(pictures: list[Picture], classes: int = CLASSES) -> tuple[float, float, float]:
    """The same by pycocotools: mAP, and at overlaps 0.5 and 0.75."""
    truth, found = COCO(), []
    truth.dataset = {
        "images": [{"id": number} for number in range(len(pictures))],
        "categories": [{"id": index} for index in range(classes)],
        "annotations": [],
    }
    for number, picture in enumerate(pictures):
        for each in picture.truths:
            box = _from_corner(each.box)
            fields = {"bbox": box, "area": box[2] * box[3], "iscrowd": 0, "id": len(truth.dataset["annotations"]) + 1}
            truth.dataset["annotations"].append({"image_id": number, "category_id": each.class_index, **fields})
        for one in picture.detections:
            fields = {"bbox": _from_corner(one.box), "score": one.score}
            found.append({"image_id": number, "category_id": one.class_index, **fields})
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found) if found else COCO(), "bbox")
        if not found:
            evaluation.cocoDt.dataset = {"annotations": []}
            evaluation.cocoDt.createIndex()
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return tuple(evaluation.stats[:3])


def _from_corner(box: Box) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def assert_as_coco(pictures: list[Picture]) -> None:
    """Equal within a millionth; 0.1 points are asked for."""
    measured = average_precision(pictures)
    assert measured is not None
    assert (measured.map_50_95, measured.map_50, measured.map_75) == pytest.approx(cocos(pictures), abs=1e-6)


def random_pictures(seed: int, *, pictures: int = 12, scores: int = 1000) -> list[Picture]:
    """Pictures with things and findings of all kinds: near, far, twice, of the wrong class, few different scores."""
    rng = random.Random(seed)
    made = []
    for _ in range(pictures):
        truths = [Truth(_random_box(rng), rng.randrange(CLASSES)) for _ in range(rng.randrange(6))]
        found = []
        for truth in truths * 2:
            box = tuple(edge + rng.choice([0, rng.gauss(0, 3)]) for edge in truth.box)
            index = truth.class_index if rng.random() < 0.8 else rng.randrange(CLASSES)
            if box[2] > box[0] and box[3] > box[1] and rng.random() < 0.8:
                found.append(Detection((box[0], box[1], box[2], box[3]), index, rng.randrange(1, scores) / scores))
        found += [Detection(_random_box(rng), rng.randrange(CLASSES), rng.random()) for _ in range(rng.randrange(4))]
        made.append(Picture(truths, found))
    return made


def _random_box(rng: random.Random) -> Box:
    left, top = rng.randrange(80), rng.randrange(80)
    return left, top, left + rng.randrange(5, 40), top + rng.randrange(5, 40)


@pytest.mark.parametrize("scores", [1000, 3])
@pytest.mark.parametrize("seed", range(8))
def test_random_findings_are_measured_as_pycocotools_does(seed: int, scores: int) -> None:
    """With hardly any equal scores, and with three values for all."""
    assert_as_coco(random_pictures(seed, scores=scores))


BOX = (10.0, 10.0, 30.0, 40.0)
OTHER = (50.0, 50.0, 70.0, 90.0)


@pytest.mark.parametrize(
    "picture",
    [
        Picture([Truth(BOX, 0)], []),  # nothing found
        Picture([Truth(BOX, 0)], [Detection(BOX, 1, 0.9)]),  # a class of which there is nothing
        Picture([Truth(BOX, 0), Truth(OTHER, 2)], [Detection(BOX, 0, 0.9)]),
        Picture([Truth(BOX, 0)], [Detection(BOX, 0, 0.5)] * 3),  # one thing thrice, equal scores
        Picture([Truth(BOX, 0)] * 2, [Detection(BOX, 0, 0.5)] * 3),  # two things in one place
        Picture([Truth(BOX, 0)], [Detection((10, 10, 30, 25), 0, 0.5)]),  # an overlap of exactly 0.5
        Picture([Truth(BOX, 0)], [Detection((10, 10, 30, 32.5), 0, 0.5)]),  # and of exactly 0.75
        Picture([Truth(BOX, 0)], [*[Detection(OTHER, 0, 0.9)] * 100, Detection(BOX, 0, 0.5)]),  # the 101st
        Picture([Truth(BOX, 0)], [Detection((10, 10, 10, 10), 0, 0.5), Detection(BOX, 0, 0.4)]),  # no area
        Picture(  # the first fits both things equally well
            [Truth((0, 0, 20, 20), 0), Truth((4, 0, 24, 20), 0)],
            [Detection((2, 0, 22, 20), 0, 0.5), Detection((4, 0, 24, 20), 0, 0.4)],
        ),
    ],
)
def test_odd_findings_are_measured_as_pycocotools_does(picture: Picture) -> None:
    """Ties, nothing to find in a class, nothing found, too much found, overlaps right at a threshold."""
    assert_as_coco([picture])
    assert_as_coco([*random_pictures(1), picture, Picture([], [])])


@settings(deadline=None)
@given(data=st.data())
def test_the_order_in_which_a_class_is_found_counts_as_in_pycocotools(data: st.DataObject) -> None:
    """Overlapping things, overlapping findings and equal scores, in any order."""
    edges = st.sampled_from([0.0, 10.0, 20.0])
    boxes = st.builds(lambda left, top: (left, top, left + 20, top + 20), edges, edges)
    truths = data.draw(st.lists(st.builds(Truth, boxes, st.just(0)), min_size=1, max_size=4))
    scores = st.sampled_from([0.25, 0.5, 0.75])
    found = data.draw(st.lists(st.builds(Detection, boxes, st.just(0), scores), max_size=6))
    assert_as_coco([Picture(truths, found)])


def test_nothing_to_find_has_no_average_precision() -> None:
    """Neither 0 nor 1 would be true."""
    assert average_precision([Picture([], [Detection(BOX, 0, 0.9)])]) is None
    assert average_precision([]) is None


def test_each_class_has_its_own() -> None:
    """Found, not found, and half found."""
    truths = [Truth(BOX, 0), Truth(BOX, 1), Truth(BOX, 2), Truth(OTHER, 2)]
    measured = average_precision([Picture(truths, [Detection(BOX, 0, 0.9), Detection(BOX, 2, 0.9)])])
    assert measured is not None
    assert measured.by_class == {0: pytest.approx(1), 1: 0, 2: pytest.approx(51 / 101)}

"""Measure the detector's file on held-out scenes, through a runtime and the product's own stages."""

from collections.abc import Iterable, Iterator

import numpy as np

from contract.tasks import BoxCoordinates, DetectionForm
from image_model.average_precision import AveragePrecision, Box, Detection, Picture, Truth, average_precision
from image_model.detection import Candidates, Placement, place, read, suppress
from image_model.preprocess import Decoded, InputSpec, pixel_table, resize, to_tensor
from scripts.digits_detector.scenes import Scene, SceneDrawer
from server.runtimes.base import LoadedModel

HELD_OUT_SEED = 2026
HELD_OUT_SCENES = 300
MIN_SCORE = 0.01
"""Average precision looks at unsure detections, too."""
INPUT_RANGE = (1.0, 0.0)
"""Dark ink on light paper: black is full ink."""
FIT = "letterbox"


def held_out_scenes(count: int = HELD_OUT_SCENES) -> Iterator[Scene]:
    """Scenes with digits that neither detector nor classifier was trained on."""
    drawer = SceneDrawer(held_out=True, seed=HELD_OUT_SEED)
    return (drawer.draw() for _ in range(count))


def detect(model: LoadedModel, scene: Scene, min_score: float = MIN_SCORE) -> Candidates:
    """What the model finds in a scene, in pixels of the scene."""
    tensor = model.inputs[0]
    _, height, width, channels = tensor.shape
    spec = InputSpec(width, height, channels, tensor.dtype, tensor.scale, tensor.zero_point)
    pixels = resize(scene.image, spec, fit=FIT)
    found = read(
        DetectionForm.YOLO_V8,
        [np.asarray(output, np.float32) for output in model.invoke(to_tensor(pixels, pixel_table(spec, INPUT_RANGE)))],
        input_size=(width, height),
        min_score=min_score,
        coordinates=BoxCoordinates.NORMALISED,
    )
    decoded = Decoded(scene.image, "PNG", scene.image.size, orientation=1, reduced=False)
    return place(suppress(found), Placement.of(decoded, (width, height), FIT))


def findings(model: LoadedModel, scenes: Iterable[Scene]) -> list[Picture]:
    """What is in each scene, and what the model finds there."""
    return [Picture(_truths(scene), _detections(detect(model, scene))) for scene in scenes]


def measured(model: LoadedModel) -> AveragePrecision:
    """Average precision on the held-out scenes."""
    precision = average_precision(findings(model, held_out_scenes()))
    assert precision is not None
    return precision


def _truths(scene: Scene) -> list[Truth]:
    return [Truth(_box(box), int(digit)) for box, digit in zip(scene.boxes, scene.digits, strict=True)]


def _detections(found: Candidates) -> list[Detection]:
    rows = zip(found.boxes, found.classes, found.scores, strict=True)
    return [Detection(_box(box), int(index), float(score)) for box, index, score in rows]


def _box(box: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Box:
    left, top, right, bottom = (float(edge) for edge in box)
    return left, top, right, bottom

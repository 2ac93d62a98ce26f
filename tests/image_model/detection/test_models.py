"""Models of each form, run by real runtimes: boxes in the file are those of a plain loop over the picture's cells."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.tasks import BoxCoordinates, DetectionForm
from image_model.detection import OutputSpec, Placement, place, read, recognise, suppress
from image_model.postprocess import dequantise
from image_model.preprocess import InputSpec, decode, pixel_table, resize, to_tensor
from server.runtimes import open_runtime
from server.runtimes.base import LoadedModel, LoadOptions, ModelFiles, tflite_files
from tests import detectors
from tests.conftest import TFLITE_RUNTIMES
from tests.detectors import CELLS, COLOURS, DETECTIONS_MAX, GROWTHS, INPUT_SIDE, IOU_THRESHOLD, MIN_SCORE
from tests.image_model.detection import reference
from tests.image_model.detection.reference import Box, Found
from tests.images import encoded

INPUT_SIZE = (INPUT_SIDE, INPUT_SIDE)
SPEC = InputSpec(INPUT_SIDE, INPUT_SIDE, 3, "float32")
FILE_SIZE = (230, 150)


@dataclass(frozen=True)
class Case:
    """A model, and what its form makes of the same cells."""

    form: DetectionForm
    model: Callable[[], bytes]
    coordinates: BoxCoordinates = BoxCoordinates.NORMALISED
    growths: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    each_class: bool = False
    """Whether a place may answer with several classes."""


TFLITE_CASES = {
    "ssd": Case(DetectionForm.TFLITE_POSTPROCESS, detectors.ssd, each_class=True),
    "yolo_v5": Case(DetectionForm.YOLO_V5, detectors.yolo_v5, growths=GROWTHS),
    "yolo_v5 in pixels": Case(
        DetectionForm.YOLO_V5, lambda: detectors.yolo_v5(normalised=False), BoxCoordinates.PIXELS, growths=GROWTHS
    ),
    "yolo_v8": Case(DetectionForm.YOLO_V8, detectors.yolo_v8),
    "yolo_v8 in pixels": Case(
        DetectionForm.YOLO_V8, lambda: detectors.yolo_v8(normalised=False), BoxCoordinates.PIXELS
    ),
    "yolo_v8 transposed": Case(DetectionForm.YOLO_V8, lambda: detectors.yolo_v8(transposed=True)),
}


def coloured(seed: int, size: tuple[int, int]) -> Image.Image:
    """Patches of random colours, so that hardly any two cells have the same score."""
    patches = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.NEAREST)


def file_of(upright: Image.Image, orientation: int) -> bytes:
    """A PNG that shows a picture by way of an EXIF orientation: 1, or 6 for a camera that was turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else upright
    return encoded(stored, exif=exif)


def expected(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], case: Case) -> list[Found]:
    """Boxes on the input, one cell after the other."""
    found: list[Found] = []
    scores = detectors.colour_scores(pixels)
    for growth, objectness in case.growths:
        for cell, colours in zip(CELLS, scores, strict=True):
            x, y, width, height = cell.centred
            reach = width * growth / 2, height * growth / 2
            best = max(range(3), key=lambda index, of=colours: of[index])  # type: ignore[misc]
            for index in range(3) if case.each_class else [best]:
                if colours[index] * objectness >= MIN_SCORE:
                    box = (x - reach[0], y - reach[1], x + reach[0], y + reach[1])
                    found.append((box, colours[index] * objectness, index))
    return reference.suppress(sorted(found, key=lambda each: -each[1]), IOU_THRESHOLD, DETECTIONS_MAX)


def in_file(box: Box, orientation: int) -> Box:
    """A box on the input in pixels of the file: the letterbox is undone, then a quarter turn to the left."""
    width, height = FILE_SIZE if orientation == 1 else FILE_SIZE[::-1]
    scale = INPUT_SIDE / max(width, height)
    border_x, border_y = (INPUT_SIDE - width * scale) / 2, (INPUT_SIDE - height * scale) / 2
    left, right = (min(max((edge - border_x) / scale, 0), width) for edge in (box[0], box[2]))
    top, bottom = (min(max((edge - border_y) / scale, 0), height) for edge in (box[1], box[3]))
    return (left, top, right, bottom) if orientation == 1 else (top, width - right, bottom, width - left)


def assert_finds(loaded: LoadedModel, case: Case, orientation: int, *, labels: int = len(COLOURS)) -> None:
    """Three pictures, each with a dozen boxes or so, within a pixel of the file."""
    specs = [OutputSpec(t.name, t.shape, t.dtype, t.scale, t.zero_point) for t in loaded.outputs]
    recognised = recognise(INPUT_SIZE, specs, labels)
    assert recognised.form is case.form, recognised.reason
    channels_first = loaded.inputs[0].shape[1] == 3
    for seed in range(3):
        upright = coloured(seed, FILE_SIZE if orientation == 1 else FILE_SIZE[::-1])
        decoded = decode(io.BytesIO(file_of(upright, orientation)), INPUT_SIZE, headroom=None, max_pixels=10**6)
        pixels = resize(decoded.image, SPEC, fit="letterbox")
        tensor = to_tensor(pixels, pixel_table(SPEC, detectors.INPUT_RANGE))
        outputs = loaded.invoke(np.ascontiguousarray(tensor.transpose(0, 3, 1, 2)) if channels_first else tensor)
        candidates = read(
            case.form,
            [dequantise(array, t.scale, t.zero_point) for array, t in zip(outputs, loaded.outputs, strict=True)],
            input_size=INPUT_SIZE,
            min_score=MIN_SCORE,
            coordinates=case.coordinates,
            names=[spec.name for spec in specs],
        )
        if not case.form.suppressed:
            candidates = suppress(candidates, IOU_THRESHOLD, DETECTIONS_MAX)
        found = place(candidates, Placement.of(decoded, INPUT_SIZE, "letterbox"))
        first_class = 1 if case.form is DetectionForm.DETECTION_OUTPUT else 0
        wanted = [
            (in_file(box, orientation), score, index + first_class) for box, score, index in expected(pixels, case)
        ]
        wanted = [each for each in wanted if each[0][2] > each[0][0] and each[0][3] > each[0][1]]
        assert len(found) == len(wanted) > 5
        np.testing.assert_allclose(found.scores, [score for _, score, _ in wanted], atol=0.005)
        np.testing.assert_allclose(found.boxes, [box for box, _, _ in wanted], atol=1)
        assert found.classes.tolist() == [index for _, _, index in wanted]


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("name", TFLITE_CASES)
@pytest.mark.parametrize("runtime", TFLITE_RUNTIMES)
def test_tflite_detectors_find_what_a_plain_loop_finds(runtime: str, name: str, orientation: int) -> None:
    """SSD's operator and both YOLO heads, through each runtime that reads TFLite files."""
    if (runtime, name) == ("openvino", "ssd"):
        pytest.skip("OpenVINO does not translate the operator TFLite_Detection_PostProcess")
    case = TFLITE_CASES[name]
    loaded = open_runtime(runtime, delegates=True).load(tflite_files(case.model()), LoadOptions(precision="f32"))
    assert_finds(loaded, case, orientation)


@pytest.mark.parametrize("orientation", [1, 6])
def test_openvinos_detection_output_finds_what_a_plain_loop_finds(orientation: int, tmp_path: Path) -> None:
    """The operator DetectionOutput in OpenVINO's own format, whose class 0 is the background."""
    description, weights = detectors.detection_output()
    path = tmp_path / "model.xml"
    path.write_bytes(description)
    path.with_suffix(".bin").write_bytes(weights)
    files = ModelFiles("openvino", description, path)
    loaded = open_runtime("openvino", delegates=True).load(files, LoadOptions(precision="f32"))
    assert_finds(
        loaded, Case(DetectionForm.DETECTION_OUTPUT, lambda: description, each_class=True), orientation, labels=4
    )

"""Train, quantise, measure through the runtime, and write the files under image_model/embedded."""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from image_model.average_precision import AveragePrecision
from image_model.catalog import EMBEDDED_FOLDER
from scripts.digits_detector.evaluation import HELD_OUT_SCENES, HELD_OUT_SEED, measured
from scripts.digits_detector.graph import detector, float_detector
from scripts.digits_detector.network import CLASSES, Network
from scripts.digits_detector.scenes import Scene, SceneDrawer
from scripts.digits_detector.training import SEED, seen, train
from scripts.digits_model.__main__ import HELD_OUT, tensor_card
from server.runtimes import open_runtime
from server.runtimes.base import LoadOptions, tflite_files

NAME = "digits-detector"
CALIBRATION_SCENES = 100
SCENES_FOLDER = EMBEDDED_FOLDER / "scenes"
SAMPLES = 3
SAMPLES_SEED = 5
SAMPLE_DIGITS_MIN = 4
QUARTER_TURN = 6
"""EXIF orientation of the last sample: its file lies on its side."""
JPEG_QUALITY = 88


def quantised(network: Network) -> bytes:
    """The file, with ranges as training scenes show them."""
    drawer = SceneDrawer(held_out=False, seed=SEED + 1)
    scenes = [seen(drawer.draw()).pixels for _ in range(CALIBRATION_SCENES)]
    return detector(network, [(1 - pixels / np.float32(255))[np.newaxis, ..., np.newaxis] for pixels in scenes])


def save_samples() -> None:
    """Held-out scenes as JPEG, and where their digits are as COCO has it, in pixels of the files' own grids."""
    SCENES_FOLDER.mkdir(parents=True, exist_ok=True)
    drawer = SceneDrawer(held_out=True, seed=SAMPLES_SEED)
    drawn = (drawer.draw() for _ in range(1000))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in zip(
        range(1, SAMPLES + 1), (s for s in drawn if len(s.digits) >= SAMPLE_DIGITS_MIN), strict=False
    ):
        name = f"scene-{number}.jpg"
        shown = scene if number < SAMPLES else _on_its_side(scene)
        exif = Image.Exif()
        if shown is not scene:
            exif[0x0112] = QUARTER_TURN
        shown.image.save(SCENES_FOLDER / name, "JPEG", quality=JPEG_QUALITY, exif=exif)
        images.append({"id": number, "file_name": name, "width": shown.image.width, "height": shown.image.height})
        for (left, top, right, bottom), digit in zip(shown.boxes.tolist(), shown.digits.tolist(), strict=True):
            box = [left, top, right - left, bottom - top]
            area = box[2] * box[3]
            fields = {"image_id": number, "category_id": digit, "bbox": box, "area": area, "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, **fields})
    categories = [{"id": digit, "name": str(digit)} for digit in range(CLASSES)]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    (SCENES_FOLDER / "scenes.json").write_text(json.dumps(truth, indent=1) + "\n")


def _on_its_side(scene: Scene) -> Scene:
    """A scene as a camera stores it that was turned: a quarter to the left of how it is shown."""
    width = scene.image.width
    left, top, right, bottom = scene.boxes.T
    boxes = np.stack([top, width - right, bottom, width - left], axis=1)
    return Scene(np.rot90(scene.pixels).copy(), boxes, scene.digits)


def precision_of(model: bytes) -> AveragePrecision:
    """Average precision of a file on the held-out scenes, through the runtime."""
    return measured(open_runtime("litert", delegates=True).load(tflite_files(model), LoadOptions()))


def card_of(model: bytes, network: Network) -> dict[str, Any]:
    """What is known of the file."""
    precision = precision_of(model)
    interpreter = Interpreter(model_content=model)
    return {
        "data": "scenes drawn with the digits set of scikit-learn (UCI optdigits, CC BY 4.0)",
        "held_out": f"{HELD_OUT_SCENES} scenes of seed {HELD_OUT_SEED} with the last {HELD_OUT} pictures of the set",
        "held_out_map_50_95": round(precision.map_50_95, 4),
        "held_out_map_50_95_float": round(precision_of(float_detector(network)).map_50_95, 4),
        "held_out_map_50": round(precision.map_50, 4),
        "held_out_map_75": round(precision.map_75, 4),
        "parameters": sum(parameter.value.size for parameter in network.parameters),
        "size_bytes": len(model),
        "sha256": hashlib.sha256(model).hexdigest(),
        "inputs": [tensor_card(details) for details in interpreter.get_input_details()],
        "outputs": [tensor_card(details) for details in interpreter.get_output_details()],
    }


def main() -> None:
    """Write model, samples and the card with the held-out average precision; labels are those of the classifier."""
    parser = argparse.ArgumentParser(prog="python -m scripts.digits_detector", description=__doc__)
    help_text = "where training is saved every hundred steps, and from where it goes on"
    parser.add_argument("--checkpoint", type=Path, default=Path("build/digits-detector.npz"), help=help_text)
    network = train(parser.parse_args().checkpoint)
    model = quantised(network)
    card = card_of(model, network)
    (EMBEDDED_FOLDER / f"{NAME}.tflite").write_bytes(model)
    (EMBEDDED_FOLDER / f"{NAME}.json").write_text(json.dumps(card, indent=2) + "\n")
    save_samples()
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()

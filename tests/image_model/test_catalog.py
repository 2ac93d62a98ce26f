"""The catalog names what is really there."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from image_model.catalog import EMBEDDED_FOLDER, EMBEDDED_MODEL, SAMPLES_FOLDER, embedded_entries, load_catalog
from image_model.download import file_sha256
from image_model.preprocess import InputSpec, pixel_table, resize, to_tensor
from server.runtimes import open_runtime
from server.runtimes.base import LoadOptions, tflite_files
from tests.conftest import TFLITE_RUNTIMES

CARD = json.loads((EMBEDDED_FOLDER / "digits.json").read_text())
HELD_OUT = 360


@pytest.mark.parametrize("name", embedded_entries())
def test_embedded_files_have_the_catalogs_digests(name: str) -> None:
    """Size and SHA-256 of the committed files are those of the catalog and of the model's card."""
    entry = load_catalog()[name]
    for file in (entry.model, entry.labels):
        path = EMBEDDED_FOLDER / file.name
        assert (path.stat().st_size, file_sha256(path)) == (file.size_bytes, file.sha256)
    card = json.loads((EMBEDDED_FOLDER / f"{name}.json").read_text())
    assert card["sha256"] == entry.model.sha256


def test_entries_are_complete() -> None:
    """Each entry has a licence and a source, and each file that is not embedded an address."""
    for entry in load_catalog().values():
        assert entry.licence
        assert entry.source
        assert all(file.url or entry.embedded for file in entry.files)
        assert all(len(file.sha256) == 64 for file in entry.files)


@pytest.mark.parametrize("runtime", TFLITE_RUNTIMES)
def test_held_out_accuracy_is_as_the_card_says(runtime: str) -> None:
    """The embedded model reaches its documented accuracy through each installed runtime."""
    digits = load_digits()
    files = tflite_files((EMBEDDED_FOLDER / "digits.tflite").read_bytes())
    model = open_runtime(runtime, delegates=True).load(files, LoadOptions())
    tensor = model.inputs[0]
    spec = InputSpec(8, 8, 1, tensor.dtype, tensor.scale, tensor.zero_point)
    table = pixel_table(spec, load_catalog()[EMBEDDED_MODEL].input_range)
    right = 0
    for ink, label in zip(digits.images[-HELD_OUT:], digits.target[-HELD_OUT:], strict=True):
        paper = np.round(255 - ink * 255 / 16).astype(np.uint8)[..., None]
        right += int(model.invoke(to_tensor(paper, table))[0].argmax() == label)
    assert right / HELD_OUT == pytest.approx(CARD["held_out_accuracy_int8"], abs=0.006)


def test_sample_images_are_held_out_digits_as_drawn() -> None:
    """Resized to the model's input, a sample is nearly the picture of the data set it was made from."""
    digits = load_digits()
    held_out, labels = digits.images[-HELD_OUT:], digits.target[-HELD_OUT:]
    for digit in range(10):
        with Image.open(SAMPLES_FOLDER / f"digit-{digit}.png") as image:
            pixels = resize(image, InputSpec(8, 8, 1, "uint8"))[..., 0]
        ink = held_out[int(np.argmax(labels == digit))]
        assert np.abs((255 - pixels) / 255 - ink / 16).mean() < 0.08

"""What reduced JPEG decoding gains and costs: time and logits against decoding every pixel, in one run.

The picture is parrot.jpg, as it is and enlarged to what phones and board cameras deliver.
"""

import io
import statistics
import time

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import Supplied, supplied, table
from contract.classify import DecodeMode
from image_model.postprocess import dequantise, top_k
from image_model.preprocess import Decoded, decode, resize
from server.inference import HEADROOM
from server.runtimes import open_runtime
from server.runtimes.base import LoadedModel, LoadOptions, tflite_files
from server.tasks.images import input_spec

SIZES = (None, (1280, 960), (2560, 1920), (4000, 3000))
REPEATS = 15
PARTS = 100
PART_SIZE = (1200, 1200)
MAX_PIXELS = 40_000_000


MODES: dict[str, int | None] = {mode.value: headroom for mode, headroom in HEADROOM.items()}
"""Headroom of each decode mode."""
EXACT = DecodeMode.EXACT.value


def main() -> None:
    """Print the table."""
    files = supplied()
    model = open_runtime("litert", delegates=True).load(tflite_files(files.model.read_bytes()), LoadOptions())
    rows = []
    for size in SIZES:
        image = _image(files, size)
        took_ms = _times(model, image)
        exact = _logits(model, image, headroom=None)
        for mode, headroom in MODES.items():
            logits = _logits(model, image, headroom=headroom)
            rows.append(
                [
                    "{} x {}".format(*Image.open(io.BytesIO(image)).size),
                    mode,
                    "{} x {}".format(*_decode(model, image, headroom=headroom).image.size),
                    f"{took_ms[mode]:.1f}",
                    f"{took_ms[EXACT] / took_ms[mode]:.2f}",
                    f"{np.abs(exact - logits).max():.2f}",
                    "yes" if np.array_equal(top_k(exact, 3), top_k(logits, 3)) else "no",
                ]
            )
    header = ["picture", "decode", "decoded as", "ms", "times exact", "most logits apart", "same first three"]
    print(table(header, rows))
    print("\nms: decode and resize, medians of", REPEATS)
    print(f"\n{PARTS} parts of the picture, each a photo of {PART_SIZE[0]} x {PART_SIZE[1]}:")
    print(table(["decode", "same best class", "same first three"], _agreement(model, files)))


def _agreement(model: LoadedModel, files: Supplied) -> list[list[str]]:
    """How often each mode names the same classes as decoding every pixel does, on parts of the picture."""
    parts = _parts(files)
    exact = [_logits(model, image, headroom=None) for image in parts]
    rows = []
    for mode, headroom in MODES.items():
        found = [_logits(model, image, headroom=headroom) for image in parts]
        same = [
            sum(np.array_equal(top_k(one, k), top_k(two, k)) for one, two in zip(exact, found, strict=True))
            for k in (1, 3)
        ]
        rows.append([mode, *(f"{count / len(parts):.0%}" for count in same)])
    return rows


def _parts(files: Supplied) -> list[bytes]:
    """Parts of the picture, chosen at random from a fixed seed, as photos of their own."""
    source, whole = np.random.default_rng(7), Image.open(files.image).convert("RGB")
    parts = []
    for _ in range(PARTS):
        side = int(source.integers(120, min(whole.size)))
        left, top = (int(source.integers(0, length - side + 1)) for length in whole.size)
        out = io.BytesIO()
        part = whole.crop((left, top, left + side, top + side))
        part.resize(PART_SIZE, Image.Resampling.LANCZOS).save(out, "JPEG", quality=90)
        parts.append(out.getvalue())
    return parts


def _image(files: Supplied, size: tuple[int, int] | None) -> bytes:
    if size is None:
        return files.image.read_bytes()
    out = io.BytesIO()
    Image.open(files.image).resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=90)
    return out.getvalue()


def _times(model: LoadedModel, image: bytes) -> dict[str, float]:
    took_ms: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(REPEATS):
        for mode, times in took_ms.items():
            before = time.perf_counter_ns()
            _tensor(model, image, headroom=MODES[mode])
            times.append((time.perf_counter_ns() - before) / 1e6)
    return {mode: statistics.median(times) for mode, times in took_ms.items()}


def _decode(model: LoadedModel, image: bytes, *, headroom: int | None) -> Decoded:
    spec = input_spec(model.inputs[0])
    return decode(io.BytesIO(image), (spec.width, spec.height), headroom=headroom, max_pixels=MAX_PIXELS)


def _tensor(model: LoadedModel, image: bytes, *, headroom: int | None) -> NDArray[np.uint8]:
    decoded = _decode(model, image, headroom=headroom)
    return resize(decoded.image, input_spec(model.inputs[0]))[None]  # the supplied model stores each pixel as itself


def _logits(model: LoadedModel, image: bytes, *, headroom: int | None) -> NDArray[np.float32]:
    sink = model.outputs[0]
    tensor = _tensor(model, image, headroom=headroom)
    return dequantise(model.invoke(tensor)[0].ravel(), sink.scale, sink.zero_point)


if __name__ == "__main__":
    main()

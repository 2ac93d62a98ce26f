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
from image_model.postprocess import dequantise, top_k
from image_model.preprocess import Decoded, decode, resize
from server.runtimes import open_runtime
from server.runtimes.base import LoadedModel, LoadOptions, tflite_files
from server.workers.classifier import input_spec

SIZES = (None, (1280, 960), (2560, 1920), (4000, 3000))
REPEATS = 15
MAX_PIXELS = 40_000_000


def main() -> None:
    """Print the table."""
    files = supplied()
    model = open_runtime("litert", delegates=True).load(tflite_files(files.model.read_bytes()), LoadOptions())
    rows = []
    for size in SIZES:
        image = _image(files, size)
        exact_ms, fast_ms = _times(model, image)
        exact, fast = (_logits(model, image, exact=mode) for mode in (True, False))
        decoded = _decode(model, image, exact=False).image.size
        same = np.array_equal(top_k(exact, 3), top_k(fast, 3))
        rows.append(
            [
                "{} x {}".format(*Image.open(io.BytesIO(image)).size),
                "{} x {}".format(*decoded),
                f"{exact_ms:.1f}",
                f"{fast_ms:.1f}",
                f"{exact_ms / fast_ms:.1f}",
                f"{np.abs(exact - fast).max():.2f}",
                "yes" if same else "no",
            ]
        )
    header = ["picture", "decoded as", "exact ms", "fast ms", "ratio", "most logits apart", "same first three"]
    print(table(header, rows))
    print("\nms: decode and resize, medians of", REPEATS)


def _image(files: Supplied, size: tuple[int, int] | None) -> bytes:
    if size is None:
        return files.image.read_bytes()
    out = io.BytesIO()
    Image.open(files.image).resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=90)
    return out.getvalue()


def _times(model: LoadedModel, image: bytes) -> tuple[float, float]:
    took_ms: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(REPEATS):
        for exact, times in took_ms.items():
            before = time.perf_counter_ns()
            _tensor(model, image, exact=exact)
            times.append((time.perf_counter_ns() - before) / 1e6)
    return statistics.median(took_ms[True]), statistics.median(took_ms[False])


def _decode(model: LoadedModel, image: bytes, *, exact: bool) -> Decoded:
    spec = input_spec(model.inputs[0])
    return decode(io.BytesIO(image), (spec.width, spec.height), exact=exact, max_pixels=MAX_PIXELS)


def _tensor(model: LoadedModel, image: bytes, *, exact: bool) -> NDArray[np.uint8]:
    decoded = _decode(model, image, exact=exact)
    return resize(decoded.image, input_spec(model.inputs[0]))[None]  # the supplied model stores each pixel as itself


def _logits(model: LoadedModel, image: bytes, *, exact: bool) -> NDArray[np.float32]:
    sink = model.outputs[0]
    return dequantise(model.invoke(_tensor(model, image, exact=exact))[0].ravel(), sink.scale, sink.zero_point)


if __name__ == "__main__":
    main()

"""The bare loop: decode, resize, invoke, top-k with the agent's own functions, no server around them.

Started by other benchmarks as `python -m benchmarks.bare MODEL PICTURE START SECONDS`; prints JSON.
"""

import io
import json
import sys
import time
from pathlib import Path

from contract.classify import ClassifyOptions
from image_model.postprocess import dequantise, softmax, top_k
from image_model.preprocess import FINE, decode, resize
from server.runtimes import open_runtime
from server.runtimes.base import LoadOptions, tflite_files
from server.tasks.images import input_spec

WARM_UP = 10


def main(argv: list[str]) -> None:
    """Run the loop from START (monotonic clock) for SECONDS and print what each picture took."""
    model_path, image_path, start, seconds = argv
    model = open_runtime("litert", delegates=True).load(tflite_files(Path(model_path).read_bytes()), LoadOptions())
    sink = model.outputs[0]
    spec = input_spec(model.inputs[0])
    image = Path(image_path).read_bytes()
    k = ClassifyOptions().top_k

    def classify() -> None:
        decoded = decode(io.BytesIO(image), (spec.width, spec.height), headroom=FINE, max_pixels=40_000_000)
        tensor = resize(decoded.image, spec)[None]  # the supplied model stores each pixel as itself
        stored = model.invoke(tensor)[0]
        top_k(softmax(dequantise(stored.ravel(), sink.scale, sink.zero_point)), k)

    for _ in range(WARM_UP):
        classify()
    time.sleep(max(0.0, float(start) - time.monotonic()))
    took_ms = []
    end = time.monotonic() + float(seconds)
    while (before := time.perf_counter_ns()) and time.monotonic() < end:
        classify()
        took_ms.append((time.perf_counter_ns() - before) / 1e6)
    print(json.dumps(took_ms))


if __name__ == "__main__":
    main(sys.argv[1:])

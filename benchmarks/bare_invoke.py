"""The bare loop over a runtime alone: set the input, invoke, get the output; nothing of edgerun around it.

Started by `benchmarks.measuring` as `python -m benchmarks.bare_invoke RUNTIME MODEL ITERATIONS THREADS`; prints the
median in milliseconds.
"""

import statistics
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

PACKAGES = {"litert": "ai_edge_litert.interpreter", "tflite": "tflite_runtime.interpreter"}
WARM_UP = 10


def main(argv: list[str]) -> None:
    """Run the loop."""
    runtime, path, iterations, threads = argv
    package = import_module(PACKAGES[runtime])
    interpreter = package.Interpreter(model_content=Path(path).read_bytes(), num_threads=int(threads))
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    noise = np.random.default_rng(0).integers(0, 255, source["shape"], np.uint8, endpoint=True)
    took_ms = []
    for _ in range(WARM_UP + int(iterations)):
        before = time.perf_counter_ns()
        interpreter.set_tensor(source["index"], noise)
        interpreter.invoke()
        interpreter.get_tensor(sink["index"])
        took_ms.append((time.perf_counter_ns() - before) / 1e6)
    print(statistics.median(took_ms[WARM_UP:]))


if __name__ == "__main__":
    main(sys.argv[1:])

"""The bare loop over a runtime alone: set the input, invoke, get the output; nothing of edgerun around it.

Started by `benchmarks.measuring` as `python -m benchmarks.bare_invoke RUNTIME MODEL ITERATIONS THREADS`; prints the
median in milliseconds. Started by `benchmarks.protocols` with START and SECONDS behind these, it runs from that time of
the monotonic clock for so long, and prints what each took as JSON.
"""

import json
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
    runtime, path, iterations, threads, *when = argv
    package = import_module(PACKAGES[runtime])
    interpreter = package.Interpreter(model_content=Path(path).read_bytes(), num_threads=int(threads))
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    noise = np.random.default_rng(0).integers(0, 255, source["shape"], np.uint8, endpoint=True)

    def took_ms() -> float:
        before = time.perf_counter_ns()
        interpreter.set_tensor(source["index"], noise)
        interpreter.invoke()
        interpreter.get_tensor(sink["index"])
        return (time.perf_counter_ns() - before) / 1e6

    for _ in range(WARM_UP):
        took_ms()
    if not when:
        print(statistics.median(took_ms() for _ in range(int(iterations))))
        return
    start, seconds = map(float, when)
    time.sleep(max(0.0, start - time.monotonic()))
    taken = []
    while time.monotonic() < start + seconds:
        taken.append(took_ms())
    print(json.dumps(taken))


if __name__ == "__main__":
    main(sys.argv[1:])

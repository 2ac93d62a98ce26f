"""Bare loops over a runtime in one process, one a stream; nothing of edgerun around them.

Started as `python -m benchmarks.bare_streams RUNTIME MODEL SECONDS STREAMS THREADS [KEY=VALUE...]`; the pairs are
properties of OpenVINO. Prints frames per second and the median latency in milliseconds.
"""

import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = {"litert": "ai_edge_litert.interpreter", "tflite": "tflite_runtime.interpreter"}
WARM_UP = 10

Run = Callable[[], None]


def main(argv: list[str]) -> None:
    """Run the loops."""
    runtime, path, seconds, streams, threads, *properties = argv
    if runtime == "openvino":
        runs = openvino_streams(path, int(streams), dict(pair.split("=", 1) for pair in properties))
    else:
        runs = [interpreter_stream(runtime, path, int(threads)) for _ in range(int(streams))]
    for run in runs:
        for _ in range(WARM_UP):
            run()
    took: list[list[float]] = [[] for _ in runs]
    started = time.perf_counter()
    loops = [
        threading.Thread(target=loop, args=(run, kept, started + float(seconds)))
        for run, kept in zip(runs, took, strict=True)
    ]
    for each in loops:
        each.start()
    for each in loops:
        each.join()
    elapsed = time.perf_counter() - started
    samples = [sample for kept in took for sample in kept]
    print(len(samples) / elapsed, statistics.median(samples) * 1e3)


def loop(run: Run, took: list[float], until: float) -> None:
    """Run and keep the times."""
    while (before := time.perf_counter()) < until:
        run()
        took.append(time.perf_counter() - before)


def interpreter_stream(runtime: str, path: str, threads: int) -> Run:
    """Set the input, invoke, get the output."""
    package = import_module(PACKAGES[runtime])
    interpreter = package.Interpreter(model_content=Path(path).read_bytes(), num_threads=threads)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    frame = noise(source["shape"], source["dtype"])

    def run() -> None:
        interpreter.set_tensor(source["index"], frame)
        interpreter.invoke()
        interpreter.get_tensor(sink["index"])

    return run


def openvino_streams(path: str, streams: int, properties: dict[str, str]) -> list[Run]:
    """One request a stream of one compiled model."""
    ov: Any = import_module("openvino")
    compiled = ov.Core().compile_model(path, "CPU", properties)
    frame = noise(compiled.inputs[0].shape, compiled.inputs[0].element_type.to_dtype())

    def stream() -> Run:
        request = compiled.create_infer_request()

        def run() -> None:
            request.infer([frame], share_inputs=True, share_outputs=True)
            np.array(request.output_tensors[0].data)

        return run

    return [stream() for _ in range(streams)]


def noise(shape: Sequence[int], dtype: Any) -> Any:
    """A frame."""
    source = np.random.default_rng(0)
    kind = np.dtype(dtype)
    if np.issubdtype(kind, np.integer):
        return source.integers(0, 255, tuple(shape), kind, endpoint=True)
    return source.random(tuple(shape)).astype(kind)


if __name__ == "__main__":
    main(sys.argv[1:])

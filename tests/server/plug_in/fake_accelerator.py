"""A runtime from another distribution whose GPU is a fake: the CPU computes, slowly made ready, easily lost.

FAKE_COMPILE_S: how long it compiles. FAKE_INFERENCES: after how many it fails. FAKE_RESULTS=wrong: it gives nonsense.
FAKE_COMPILE=fails: it cannot compile. FAKE_CPU: it knows the CPU too.
"""

import os
import time
from collections.abc import Sequence

import numpy as np

from server.runtimes import open_runtime
from server.runtimes.base import Array, Execution, FoundDevice, LoadedModel, LoadOptions, ModelFault, ModelFiles


def create(version: str, *, delegates: bool) -> "FakeRuntime":
    return FakeRuntime(version)


class FakeRuntime:
    name = "fake"
    formats = ("tflite",)

    def __init__(self, version: str) -> None:
        self.version = version

    def devices(self) -> Sequence[FoundDevice]:
        found = [FoundDevice("GPU", True, "a fake GPU"), FoundDevice("NPU", False, "no fake NPU was made")]
        return [*found, FoundDevice("CPU", True, "the CPU")] if "FAKE_CPU" in os.environ else found

    def load(self, files: ModelFiles, options: LoadOptions) -> LoadedModel:
        litert = open_runtime("litert", delegates=True)
        if options.device == "CPU":
            return litert.load(files, LoadOptions(batch=options.batch))
        time.sleep(float(os.environ.get("FAKE_COMPILE_S", "0")))
        if os.environ.get("FAKE_COMPILE") == "fails":
            raise ModelFault("the fake driver has no memory left")
        return FakeModel(litert.load(files, LoadOptions(batch=options.batch)))


class FakeModel:
    delegate: str | None = None

    def __init__(self, inner: LoadedModel) -> None:
        self._inner = inner
        self._left = int(os.environ.get("FAKE_INFERENCES", "1000000000"))
        self.inputs, self.outputs = inner.inputs, inner.outputs
        self.execution = Execution("GPU", "f16", detail="a fake GPU")

    def invoke(self, *arrays: Array) -> Sequence[Array]:
        self._left -= 1
        if self._left < 0:
            raise ModelFault("the fake GPU fell off its bus")
        outputs = self._inner.invoke(*arrays)
        return [np.roll(array, 1, -1) for array in outputs] if os.environ.get("FAKE_RESULTS") == "wrong" else outputs

    def clone(self) -> "FakeModel":
        return FakeModel(self._inner.clone())

    def close(self) -> None:
        self._inner.close()

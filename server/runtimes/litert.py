"""LiteRT (ai-edge-litert), the default runtime: CPU, GPU through its compiled models, and Coral's Edge TPU."""

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_litert.interpreter import Interpreter, OpResolverType, load_delegate

from image_model.catalog import EMBEDDED_FOLDER, EMBEDDED_MODEL, load_catalog
from server.processes.children import EDGETPU_VARIABLE
from server.runtimes.base import FoundDevice, LoadedModel, LoadOptions, ModelFault, ModelFiles
from server.runtimes.interpreter import InterpreterModel, InterpreterRuntime, resolver

EDGETPU = "EDGETPU"
EDGETPU_LIBRARY = "libedgetpu.so.1"


def create(version: str, *, delegates: bool) -> "LiteRt":
    """The runtime, with or without its default delegates."""
    return LiteRt("litert", version, Interpreter, resolver(OpResolverType, delegates=delegates))


@dataclass(frozen=True)
class LiteRt(InterpreterRuntime):
    """Interpreters on the CPU and the Edge TPU, compiled models on the GPU."""

    def devices(self) -> Sequence[FoundDevice]:
        """The CPU; the GPU if the embedded model compiles for it; the Edge TPU if its library finds one."""
        return [*super().devices(), _tried("GPU", "WebGPU", _try_gpu), _tried(EDGETPU, "Coral", _edgetpu)]

    def load(self, files: ModelFiles, options: LoadOptions) -> LoadedModel:
        """Prepare a model; raises ModelFault."""
        if options.device == "GPU":
            from server.runtimes.litert_gpu import CompiledGpuModel

            details = InterpreterModel(lambda: self.make(files.content, options.threads), options.batch)
            return CompiledGpuModel(files.content, details.inputs, details.outputs)
        if options.device == EDGETPU:
            return self._on_edgetpu(files, options)
        return super().load(files, options)

    def _on_edgetpu(self, files: ModelFiles, options: LoadOptions) -> InterpreterModel:
        """An interpreter whose custom operators run on the accelerator; other models would silently stay on the CPU."""
        try:
            delegate = _edgetpu()
        except Exception as error:  # no library, the wrong one, or no device: each raises something else
            raise ModelFault(_text(error)) from error

        def make() -> Any:
            return self.make(files.content, options.threads, experimental_delegates=[delegate])

        model = InterpreterModel(make, options.batch, EDGETPU)
        if model.delegate != "EdgeTPU":
            model.close()
            raise ModelFault("none of its operators is for the Edge TPU: compile it with edgetpu_compiler first")
        return model


def _edgetpu() -> Any:
    library = os.environ.get(EDGETPU_VARIABLE, EDGETPU_LIBRARY)
    ctypes.CDLL(library)  # its own object for a library that is missing complains once more when it is dropped
    return load_delegate(library)


def _try_gpu() -> None:
    from server.runtimes.litert_gpu import CompiledGpuModel  # most workers need nothing of it

    path = EMBEDDED_FOLDER / load_catalog()[EMBEDDED_MODEL].model.name
    CompiledGpuModel(path.read_bytes(), [], []).close()


def _tried(name: str, detail: str, attempt: Any) -> FoundDevice:
    try:
        attempt()
    except Exception as error:  # drivers raise what they like
        return FoundDevice(name, False, _text(error))
    return FoundDevice(name, True, detail)


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__

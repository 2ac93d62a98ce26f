"""What every inference runtime offers: find devices, load, describe, invoke, close."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server.runtimes import MAIN_NAMES

Array = NDArray[np.generic]


class ModelFault(Exception):
    """The runtime refused a model or failed to run it; the message is the runtime's own."""


@dataclass(frozen=True)
class Tensor:
    """An input or output. Quantised ones follow real = scale x (stored - zero_point)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class ModelFiles:
    """A model's files. Others than the main one lie beside it, under the names that it refers to them by."""

    format: str
    """`tflite`, `openvino` (IR: model.xml, with its weights in model.bin) or `onnx`."""
    content: bytes
    """The content of the main file."""
    path: Path | None = None
    """The path of the main file, None for one that was made in memory."""

    @contextlib.contextmanager
    def on_disk(self) -> Iterator[Path]:
        """The main file's path as long as this lasts, for runtimes that read no bytes."""
        if self.path is not None:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="edgerun-model-") as folder:
            path = Path(folder) / MAIN_NAMES[self.format]
            path.write_bytes(self.content)
            yield path


def tflite_files(content: bytes, path: Path | None = None) -> ModelFiles:
    """A TFLite model, which is one file."""
    return ModelFiles("tflite", content, path=path)


@dataclass(frozen=True)
class LoadOptions:
    """How a model shall be run."""

    threads: int = 1
    """CPU threads used by one inference."""
    streams: int = 1
    """Inferences at the same time, each on a twin."""
    batch: int = 1
    device: str = "CPU"
    precision: str | None = None
    """f32, f16, bf16 or int8; None for what the file says, without loss."""
    hint: str | None = None
    """latency or throughput, for runtimes that take one for their accelerators."""
    profile: bool = False
    """Time every operator, for runtimes that do."""
    cache: Path | None = None
    """Folder in which compiled models are kept, for runtimes that do."""


@dataclass(frozen=True)
class Execution:
    """How a loaded model is run, as the runtime itself tells."""

    device: str
    """What really runs it; never what was merely asked for."""
    precision: str | None
    """The precision of most of its weighted operators; None where the runtime does not tell."""
    from_cache: bool | None = None
    """Whether it was compiled before; None for runtimes that keep nothing."""
    detail: str | None = None


@dataclass(frozen=True)
class NodeTime:
    """One operator of one run, as the runtime itself names and times it."""

    name: str
    kernel: str
    elapsed_us: float
    output_shape: tuple[int, ...] | None = None
    output_dtype: str | None = None


@dataclass(frozen=True)
class FoundDevice:
    """A device as a runtime sees it."""

    name: str
    """`CPU`, `GPU`, `GPU.1`, `NPU`, `EDGETPU`."""
    available: bool
    detail: str
    """Its full name, or why it cannot be used."""


class LoadedModel(Protocol):
    """A model ready to run. Not safe for use from two threads at once."""

    @property
    def inputs(self) -> Sequence[Tensor]:
        """Input tensors in the model's order."""

    @property
    def outputs(self) -> Sequence[Tensor]:
        """Output tensors in the model's order."""

    @property
    def delegate(self) -> str | None:
        """What executes the graph instead of the built-in kernels, as far as the runtime tells."""

    @property
    def execution(self) -> Execution:
        """Device and precision that run it."""

    def invoke(self, *arrays: Array) -> Sequence[Array]:
        """Run once on arrays of exactly the inputs' shapes and types; raises ModelFault."""

    def clone(self) -> "LoadedModel":
        """The same model once more, to run at the same time; shares what the runtime lets it share."""

    def close(self) -> None:
        """Release the model's memory."""


class Runtime(Protocol):
    """An installed runtime."""

    @property
    def name(self) -> str:
        """The name that settings and requests use."""

    @property
    def version(self) -> str:
        """The version of the installed distribution."""

    @property
    def formats(self) -> Sequence[str]:
        """Model formats it reads."""

    def devices(self) -> Sequence[FoundDevice]:
        """Every device it knows of, with the reason for those that cannot be used. May be slow."""

    def load(self, files: ModelFiles, options: LoadOptions) -> LoadedModel:
        """Prepare a model; raises ModelFault, also for a device that does not run it."""

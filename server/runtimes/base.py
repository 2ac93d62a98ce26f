"""What every inference runtime offers: load, describe, invoke, close."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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

    def invoke(self, *arrays: Array) -> Sequence[Array]:
        """Run once on arrays of exactly the inputs' shapes and types; raises ModelFault."""

    def close(self) -> None:
        """Release the model's memory."""


class Runtime(Protocol):
    """An installed runtime."""

    @property
    def name(self) -> str:
        """As in settings and requests."""

    @property
    def version(self) -> str:
        """Of the installed distribution."""

    @property
    def device(self) -> str:
        """Where models run: `CPU`."""

    def load(self, model: bytes, *, threads: int, batch: int = 1) -> LoadedModel:
        """Prepare a model from the bytes of its file for so many frames at once; raises ModelFault."""

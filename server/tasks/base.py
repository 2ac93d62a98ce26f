"""What every task that takes pictures has, and what goes wrong with one order."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from contract.codes import ErrorCode
from image_model.preprocess import Decoded
from server.runtimes.base import Array

now = time.perf_counter_ns


class OrderFailed(Exception):
    """An order that cannot be executed; the worker itself is well."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True)
class Found:
    """What a model found in one picture."""

    result: dict[str, Any]
    """As JSON takes it; `server.inference` makes a reply of it."""
    suppression_ns: int | None = None
    """Nanoseconds that non-maximum suppression took, None where there was none."""


class ImageReader(Protocol):
    """A task on one loaded model, with everything computed that does not depend on the picture."""

    def tensor(self, decoded: Decoded, options: dict[str, Any]) -> Array:
        """The input tensor of a decoded picture; raises OrderFailed."""

    def read(self, outputs: Sequence[Array], decoded: Decoded, options: dict[str, Any]) -> Found:
        """What the outputs say of the picture; raises OrderFailed."""

"""Inference runtimes behind one Protocol. This module imports none of them; `open_runtime` does, in workers only."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.runtimes.base import Runtime  # which imports numpy

ENTRY_POINTS = "edgerun.runtimes"
"""Entry point group under which other distributions offer a runtime: NAME = module:create."""

MAIN_NAMES = {"tflite": "model.tflite", "openvino": "model.xml", "onnx": "model.onnx"}
"""What the main file of each format is called: some runtimes tell the format by the suffix."""


@dataclass(frozen=True)
class RuntimePackage:
    """A runtime edgerun knows: which distributions bring it, and what it reads."""

    distributions: tuple[str, ...]
    formats: tuple[str, ...]
    extra: str | None = None
    """The extra of edgerun that installs it, None for those that come with `server`."""


KNOWN = {
    "litert": RuntimePackage(("ai-edge-litert",), ("tflite",)),
    "tflite": RuntimePackage(("tflite-runtime",), ("tflite",)),
    "openvino": RuntimePackage(("openvino",), ("tflite", "openvino", "onnx"), "openvino"),
    "onnx": RuntimePackage(("onnxruntime", "onnxruntime-gpu"), ("onnx",), "onnx"),
}
"""Default first."""


def installed_runtimes() -> dict[str, str]:
    """Versions of the runtimes that are installed here, read from package metadata."""
    found = {name: text for name, package in KNOWN.items() if (text := _version(package.distributions)) is not None}
    for name, point in _plug_ins().items():
        found.setdefault(name, point.dist.version if point.dist else "unknown")
    return found


def formats_of(name: str) -> Sequence[str]:
    """Model formats a runtime reads; one from another distribution is given every format to refuse."""
    package = KNOWN.get(name)
    return package.formats if package else ("tflite", "openvino", "onnx")


def open_runtime(name: str, *, delegates: bool) -> "Runtime":
    """Import a runtime and return it.

    `delegates=False` is the safe mode: built-in kernels only, for machines where a delegate crashes.
    Raises ImportError when it is not installed, KeyError for an unknown name.
    """
    create = import_module(f"server.runtimes.{name}").create if name in KNOWN else _plug_ins()[name].load()
    runtime: Runtime = create(installed_runtimes()[name], delegates=delegates)
    return runtime


def _version(distributions: Sequence[str]) -> str | None:
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _plug_ins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}

"""Inference runtimes behind one Protocol. This module imports none of them; `open_runtime` does, in workers only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.runtimes.base import Runtime  # which imports numpy

ENTRY_POINTS = "edgerun.runtimes"
"""Entry point group under which other distributions offer a runtime: NAME = module:create."""

MAIN_NAMES = {"tflite": "model.tflite", "openvino": "model.xml", "onnx": "model.onnx"}
"""What the main file of each format is called: some runtimes tell the format by the suffix."""


NATIVE, SINGLE_OPERATOR = "native", "single-operator"
"""Ways to time operators: by the runtime's own profiler, and by a model of each operator."""


@dataclass(frozen=True)
class RuntimePackage:
    """What is known of a runtime without importing it: the whole of its registration."""

    distributions: tuple[str, ...]
    """Each of them brings it."""
    formats: tuple[str, ...]
    """Model formats it reads."""
    extra: str | None = None
    """The extra of edgerun that installs it, None for those that come with `server`."""
    profilers: Mapping[str, str] = field(default_factory=dict)
    """By way of timing operators, preferred first, the module of `server.profilers` that does it."""
    splits_graphs: bool = False
    """Whether it takes HETERO, one graph on several devices."""
    forks: bool = False
    """Whether a process that has imported it can be forked: importing it starts no threads and opens no device."""


KNOWN = {
    "litert": RuntimePackage(
        ("ai-edge-litert",), ("tflite",), profilers={NATIVE: "native", SINGLE_OPERATOR: "single"}, forks=True
    ),
    "tflite": RuntimePackage(("tflite-runtime",), ("tflite",), profilers={SINGLE_OPERATOR: "single"}, forks=True),
    "openvino": RuntimePackage(
        ("openvino",), ("tflite", "openvino", "onnx"), "openvino", {NATIVE: "openvino"}, splits_graphs=True
    ),
    "onnx": RuntimePackage(("onnxruntime", "onnxruntime-gpu"), ("onnx",), "onnx", {NATIVE: "onnx"}),
}
"""The runtimes of this tree, the default one first; each is the module of its name in this folder."""


def installed_runtimes() -> dict[str, str]:
    """Versions of the runtimes that are installed here, read from package metadata."""
    found = {name: text for name, package in KNOWN.items() if (text := _version(package.distributions)) is not None}
    for name, point in _plug_ins().items():
        found.setdefault(name, point.dist.version if point.dist else "unknown")
    return found


def formats_of(name: str) -> Sequence[str]:
    """Model formats a runtime reads; one from another distribution is given every format to refuse."""
    package = KNOWN.get(name)
    return package.formats if package else tuple(MAIN_NAMES)


def forks(name: str) -> bool:
    """Whether workers of a runtime may be forked from one process; of one from another distribution nobody knows."""
    package = KNOWN.get(name)
    return package is not None and package.forks


def profilers_of(name: str) -> Mapping[str, str]:
    """Ways to time a runtime's operators with their modules, preferred first; none for one of another distribution."""
    package = KNOWN.get(name)
    return package.profilers if package else {}


def open_runtime(name: str, *, delegates: bool) -> "Runtime":
    """Import a runtime and return it.

    `delegates=False` is the safe mode: built-in kernels only, for machines where a delegate crashes.
    Raises ImportError when it is not installed, KeyError for an unknown name.
    """
    if name in KNOWN:  # without a look at what else is installed, which takes longer
        create, found = import_module(f"server.runtimes.{name}").create, _version(KNOWN[name].distributions)
    else:
        create, found = _plug_ins()[name].load(), installed_runtimes()[name]
    runtime: Runtime = create(found or "unknown", delegates=delegates)
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

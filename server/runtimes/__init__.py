"""Inference runtimes behind one Protocol. This module imports none of them; `open_runtime` does, in workers only."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.runtimes.base import Runtime  # which imports numpy

PACKAGES = {"litert": "ai-edge-litert", "tflite": "tflite-runtime"}
"""Every runtime edgerun knows, default first, and the distribution that brings it."""


def installed_runtimes() -> dict[str, str]:
    """Versions of the runtimes that are installed here, read from package metadata."""
    found = {}
    for name, package in PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def open_runtime(name: str, *, delegates: bool) -> "Runtime":
    """Import a runtime and return it.

    `delegates=False` is the safe mode: built-in kernels only, for machines where a delegate crashes.
    Raises ImportError when it is not installed, KeyError for an unknown name.
    """
    PACKAGES[name]
    runtime: Runtime = import_module(f"server.runtimes.{name}").create(version(PACKAGES[name]), delegates=delegates)
    return runtime

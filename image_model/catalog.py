"""The models edgerun knows by name: files, digests, origin and preprocessing, read from catalog.toml."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from contract.tasks import BoxCoordinates, DetectionForm, Task

EMBEDDED_FOLDER = Path(__file__).parent / "embedded"
SAMPLES_FOLDER = EMBEDDED_FOLDER / "samples"

EMBEDDED_MODEL = "digits"
"""Of the models that ship with the agent, the one that answers where none is named and nothing better is there."""
PREFERRED_MODEL = "mobilenet_v2_1.0_224_quant"


@dataclass(frozen=True)
class CatalogFile:
    """One file of a model: its name upstream and in a mirror, SHA-256 in hexadecimal, size and address."""

    name: str
    sha256: str
    size_bytes: int
    url: str | None = None

    @property
    def digest(self) -> str:
        """The digest as the agent writes it."""
        return f"sha256:{self.sha256}"


@dataclass(frozen=True)
class CatalogEntry:
    """A known model. `input_range` holds the real values of a black and of a white pixel."""

    name: str
    title: str
    licence: str
    source: str
    input_range: tuple[float, float]
    fit: str
    outputs: str
    model: CatalogFile
    labels: CatalogFile
    samples: tuple[CatalogFile, ...] = ()
    embedded: bool = False
    """Whether its files ship with the agent, under EMBEDDED_FOLDER."""
    task: Task = Task.CLASSIFICATION
    form: DetectionForm | None = None
    coordinates: BoxCoordinates | None = None
    """How a detector's boxes are written."""

    @property
    def files(self) -> tuple[CatalogFile, ...]:
        """Everything a download fetches."""
        return (self.model, self.labels, *self.samples)


@cache
def load_catalog() -> Mapping[str, CatalogEntry]:
    """Read the catalog that ships with the package, by model name."""
    text = (Path(__file__).parent / "catalog.toml").read_text(encoding="utf-8")
    entries = {name: _entry(name, table) for name, table in tomllib.loads(text)["models"].items()}
    return MappingProxyType(entries)


def embedded_entries() -> Mapping[str, CatalogEntry]:
    """The models that ship with the agent, by name."""
    return {name: entry for name, entry in load_catalog().items() if entry.embedded}


def _entry(name: str, table: dict[str, Any]) -> CatalogEntry:
    files = table.pop("files")
    model, labels = (CatalogFile(**files[role]) for role in ("model", "labels"))
    samples = tuple(CatalogFile(**fields) for fields in table.pop("samples", ()))
    low, high = table.pop("input_range")
    chosen = {key: kind(table.pop(key)) for key, kind in _CHOICES.items() if key in table}
    return CatalogEntry(
        name=name, input_range=(low, high), model=model, labels=labels, samples=samples, **chosen, **table
    )


_CHOICES: dict[str, Callable[[str], Any]] = {"task": Task, "form": DetectionForm, "coordinates": BoxCoordinates}

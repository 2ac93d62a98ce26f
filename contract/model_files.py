"""The files of a model on this machine, told by the name of the main one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from contract.models import ModelFormat

SUFFIXES: Mapping[str, ModelFormat] = {".tflite": "tflite", ".xml": "openvino", ".onnx": "onnx"}
IR_WEIGHTS = "model.bin"
"""What an agent calls the weights of an OpenVINO model; the .xml does not name them."""
assert set(SUFFIXES.values()) == set(get_args(ModelFormat))


class NoModelFiles(ValueError):
    """Files that make no model, and what to do about it."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.hint = hint


@dataclass(frozen=True)
class LocalModel:
    """A model on this machine."""

    format: ModelFormat
    main: Path
    parts: Mapping[str, Path]
    """Further files by the names that the main one refers to them by."""


def local_model(main: Path, parts: Sequence[Path] = ()) -> LocalModel:
    """Find what belongs to a model's main file; raises NoModelFiles.

    The .bin beside an OpenVINO .xml belongs to it, and so do files beside an .onnx whose names begin with its own, as
    exporters call external data (`model.onnx.data`, `model.onnx_data`). `parts` are named in addition.
    """
    format = SUFFIXES.get(main.suffix.lower())
    if format is None:
        raise NoModelFiles(f"{main.name} is none of {', '.join(SUFFIXES)}", "its suffix tells its format")
    named = {path.name: path for path in parts}
    if format == "openvino":
        weights = main.with_suffix(".bin")
        if not weights.is_file():
            raise NoModelFiles(f"{weights.name} is missing beside {main.name}", "the .bin holds its weights")
        named[IR_WEIGHTS] = weights
    elif format == "onnx":
        beside = main.parent.glob(f"{main.name}*")
        named |= {path.name: path for path in beside if path != main and path.is_file()}
    return LocalModel(format, main, named)

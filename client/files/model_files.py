"""The files of a model on this machine, for commands."""

from collections.abc import Sequence
from pathlib import Path

from client.errors import EdgeError
from contract import model_files
from contract.model_files import LocalModel


class ModelFileError(EdgeError):
    """Files that make no model."""

    exit_code = 2


def local_model(main: Path, parts: Sequence[Path] = ()) -> LocalModel:
    """Find what belongs to a model's main file; raises ModelFileError."""
    try:
        return model_files.local_model(main, parts)
    except model_files.NoModelFiles as fault:
        raise ModelFileError(str(fault), hint=fault.hint) from None

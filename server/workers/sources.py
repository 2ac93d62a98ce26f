"""Reading a stored model's files, checked: a flipped bit in a weight would run and give wrong answers."""

import hashlib
from pathlib import Path

from contract.codes import ErrorCode
from contract.digests import identity
from server.runtimes.base import ModelFiles
from server.workers.messages import ModelSource


class SourceError(Exception):
    """Files that are gone or damaged."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def read_files(source: ModelSource) -> ModelFiles:
    """The files, held against the model's digest; raises SourceError."""
    try:
        content = Path(source.path).read_bytes()
        parts = {name: _file_digest(Path(path)) for name, path in source.parts.items()}
    except OSError as error:
        raise SourceError(ErrorCode.UNKNOWN_MODEL, f"the model's file is gone: {error.strerror}") from error
    if identity(f"sha256:{hashlib.sha256(content).hexdigest()}", parts) != source.digest:
        raise SourceError(ErrorCode.WRONG_DIGEST, "the stored model file is damaged: its digest no longer matches")
    return ModelFiles(source.format, content, Path(source.path))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

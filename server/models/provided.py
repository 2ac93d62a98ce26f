"""Models that lie on this machine when the agent starts: `server --models NAME=PATH`, or what KServe has fetched.

They are tried and taken in as if they had been uploaded. Until all are, the agent is not ready.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from contract.codes import ErrorCode
from contract.model_files import SUFFIXES, LocalModel, NoModelFiles, local_model
from contract.models import ModelManifest
from server.errors import AgentError
from server.models.registry import ModelRegistry

log = logging.getLogger(__name__)

LABELS_NAME = "labels.txt"
MANIFEST_NAME = "edgerun.json"
"""Beside a model: what an upload declares of it, such as `preprocessing`, without the files."""
OF_THE_FILES = frozenset({"format", "model", "parts", "labels"})
CHUNK_BYTES = 1 << 20
RETRY_S = 1.0


def model_at(path: Path) -> LocalModel:
    """The model that a file is, or that a folder holds one of; raises NoModelFiles."""
    if path.is_file():
        return local_model(path)
    if not path.is_dir():
        raise NoModelFiles(f"there is no file or folder {path}", "--models takes NAME=FILE or NAME=FOLDER")
    found = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES and each.is_file())
    if len(found) != 1:
        there = ", ".join(each.name for each in found) or "none"
        raise NoModelFiles(f"{path} is to hold one model ({', '.join(SUFFIXES)}), and holds {there}", "name the file")
    return local_model(found[0])


class ProvidedModels:
    """Takes in the models of the settings, one after the other, in the background."""

    def __init__(self, wanted: Mapping[str, Path], registry: ModelRegistry) -> None:
        self._wanted = dict(wanted)
        self._registry = registry
        self._task: asyncio.Task[None] | None = None
        self._faults: dict[str, str] = {}

    @property
    def missing(self) -> str | None:
        """Why the agent does not have all of them, None when it does."""
        if self._faults:
            return "; ".join(f"model {name} cannot be served: {fault}" for name, fault in self._faults.items())
        return f"model {next(iter(self._wanted))} is being tried" if self._wanted else None

    def start(self) -> None:
        """Begin; returns at once."""
        if self._wanted:
            self._task = asyncio.create_task(self._take_all())

    async def stop(self) -> None:
        """Take no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _take_all(self) -> None:
        for name, path in list(self._wanted.items()):
            try:
                await self._take(name, path)
                del self._wanted[name]
            except (AgentError, NoModelFiles, ValidationError, ValueError, OSError) as fault:
                self._faults[name] = str(fault)
                log.error("model %s at %s cannot be served: %s", name, path, fault)

    async def _take(self, name: str, path: Path) -> None:
        manifest = await asyncio.to_thread(self._stored, model_at(path))
        while True:
            try:
                await self._registry.put(name, manifest)
                return
            except AgentError as error:  # a job of before may have the device
                if error.code is not ErrorCode.MEASURING:
                    raise
                await asyncio.sleep(RETRY_S)

    def _stored(self, files: LocalModel) -> ModelManifest:
        """Keep the files under their digests, as uploads are, and describe them; raises ValueError, OSError."""
        beside = files.main.with_name(MANIFEST_NAME)
        declared = json.loads(beside.read_bytes()) if beside.is_file() else {}
        if not isinstance(declared, dict) or declared.keys() & OF_THE_FILES:
            raise ValueError(f"{beside} is to be an object without {', '.join(sorted(OF_THE_FILES))}")
        labels = files.main.with_name(LABELS_NAME)
        document = {
            "format": files.format,
            "model": self._kept(files.main),
            "parts": {part: self._kept(path) for part, path in files.parts.items()},
            "labels": self._kept(labels) if labels.is_file() else None,
        }
        return ModelManifest.model_validate({**declared, **document})

    def _kept(self, path: Path) -> str:
        with self._registry.store.receive() as receiver, path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                receiver.write(chunk)
            receiver.keep(receiver.digest)
            return receiver.digest

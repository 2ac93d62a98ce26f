"""The models an agent holds: files under their digests, one description a name, and which one is the default.

Layout under the data folder: `blobs/<sha256>`, `files/<sha256>/` with the files of one model under the names that
runtimes expect, `models/<name>.json`, `default-model`. Every file appears whole or not at all. What no model names is
removed an hour after it was last touched.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from contract.codes import ErrorCode
from contract.digests import identity
from contract.models import MODEL_NAME_PATTERN, ModelDescription, ModelManifest
from contract.tasks import Task
from image_model.catalog import EMBEDDED_MODEL, PREFERRED_MODEL, embedded_entries
from server.errors import AgentError
from server.models.stored_model import StoredModel, embedded_models
from server.runtimes import MAIN_NAMES
from server.storage.atomic import ensure_folder, move_aside, put_in_place, storage_faults, write_atomically
from server.storage.trees import Folder
from server.synthesis import SYNTHETIC_MODELS
from server.workers.messages import ModelSource

log = logging.getLogger(__name__)

ORPHAN_AGE_S = 3600.0
DAMAGES = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a damaged description or file raises; others' models, and the agent, go on without it."""


class ModelStore:
    """Keeps models under one folder and remembers them in memory."""

    def __init__(self, folder: Path) -> None:
        self._blobs, self._models = folder / "blobs", folder / "models"
        self._default_file = folder / "default-model"
        self._laid_out = folder / "files"
        for path in (self._blobs, self._models, self._laid_out):
            ensure_folder(path)
        self._stored = dict(embedded_models())
        self.damaged: dict[str, str] = {}
        """Models that cannot be used any more, with the reason of each."""
        for path in sorted(self._models.glob("*.json")):
            self._recall(path)
        self._chosen_default = self._recall_default()
        self.remove_orphans()

    def __iter__(self) -> Iterator[StoredModel]:
        return iter(sorted(self._stored.values(), key=lambda model: model.description.name))

    def find(self, name: str) -> StoredModel | None:
        """The model of that name, None when there is none."""
        return self._stored.get(name)

    def get(self, name: str) -> StoredModel:
        """The model of that name; raises AgentError."""
        try:
            return self._stored[name]
        except KeyError:
            if name in self.damaged:
                detail = f"model {name!r} is damaged on this agent: {self.damaged[name]}"
                raise AgentError(ErrorCode.UNKNOWN_MODEL, detail, hint="push it again, or remove it") from None
            held = ", ".join(sorted(self._stored))
            hint = f"`client models write {name}` has it written" if name in SYNTHETIC_MODELS else None
            raise AgentError(
                ErrorCode.UNKNOWN_MODEL,
                f"no model {name!r}; this agent holds {held} and can write {', '.join(SYNTHETIC_MODELS)}",
                hint=hint,
            ) from None

    @property
    def chosen_default(self) -> str | None:
        """The default somebody chose, as long as it is there and classifies pictures."""
        return self._chosen_default if self._classifies(self._chosen_default) else None

    @property
    def default(self) -> StoredModel:
        """The model that answers requests which name none."""
        preferred = PREFERRED_MODEL if self._classifies(PREFERRED_MODEL) else EMBEDDED_MODEL
        return self._stored[self.chosen_default or preferred]

    def _classifies(self, name: str | None) -> bool:
        model = self._stored.get(name) if name is not None else None
        return model is not None and model.classifies

    def choose_default(self, name: str) -> None:
        """Remember a default; raises AgentError for a model that is not there or cannot classify."""
        self.get(name).require(Task.CLASSIFICATION)
        write_atomically(self._default_file, name.encode())
        self._chosen_default = name

    def blob(self, digest: str) -> Path | None:
        """Where the bytes with this digest are, None when they are not here."""
        path = self._blobs / _file_name(digest)
        return path if path.is_file() else None

    def lay_out(self, manifest: ModelManifest) -> ModelSource:
        """Put a model's files into a folder of their own, under the names that runtimes expect.

        They are hard links. Raises KeyError with the digest of a file that is not here.
        """
        folder = self._laid_out / _folder_name(manifest)
        ensure_folder(folder)
        names = {MAIN_NAMES[manifest.format]: manifest.model, **manifest.parts}
        for name, digest in names.items():
            blob = self.blob(digest)
            if blob is None:
                raise KeyError(digest)
            _link(folder / name, blob)
        return ModelSource(
            format=manifest.format,
            path=str(folder / MAIN_NAMES[manifest.format]),
            digest=identity(manifest.model, manifest.parts),
            parts={name: str(folder / name) for name in manifest.parts},
        )

    def receive(self) -> "Receiver":
        """A file to write incoming bytes into; it becomes a blob when it is complete."""
        return Receiver(self._blobs)

    def put(self, manifest: ModelManifest, description: ModelDescription) -> StoredModel:
        """Add a model or replace the one of its name."""
        document = {"manifest": manifest.model_dump(mode="json"), "description": description.model_dump(mode="json")}
        path = self._models / f"{description.name}.json"
        write_atomically(path, json.dumps(document, indent=2).encode())
        with storage_faults():
            self._stored[description.name] = self._read(path)
        self.damaged.pop(description.name, None)
        self.remove_orphans()
        return self._stored[description.name]

    def remove(self, name: str) -> None:
        """Forget a model. Its files stay an hour for requests that are under way."""
        if name in self.damaged:
            path = self._models / f"{name}.json"
            if path.is_dir():
                move_aside(path)
            path.unlink(missing_ok=True)
            del self.damaged[name]
            return
        model = self.get(name)
        if model.description.embedded:
            detail = f"{name} is part of the agent and cannot be removed"
            raise AgentError(ErrorCode.MODEL_PROTECTED, detail)
        assert model.manifest is not None
        for path in (*filter(None, map(self.blob, model.manifest.digests)), Path(model.source.path).parent):
            path.touch()
        (self._models / f"{name}.json").unlink()
        del self._stored[name]

    def remove_orphans(self) -> None:
        """Delete files that no model names and that nobody touched for an hour."""
        manifests = [model.manifest for model in self._stored.values() if model.manifest is not None]
        named = {_file_name(digest) for manifest in manifests for digest in manifest.digests}
        named |= {_folder_name(manifest) for manifest in manifests}
        for path in (self._blobs, self._laid_out):
            with contextlib.suppress(OSError), Folder.at(path) as folder:
                for name, status in list(folder.entries()):
                    if name not in named and time.time() - status.st_mtime >= ORPHAN_AGE_S:
                        with contextlib.suppress(OSError):
                            folder.remove(name)

    def _recall(self, path: Path) -> None:
        """Read what `put` wrote; a model that is damaged is left out, so that it can be put again."""
        if not re.fullmatch(MODEL_NAME_PATTERN, path.stem):
            log.warning("%r describes no model that has a name, and is ignored", path.name)
            return
        if path.stem in embedded_entries():
            reason = "the agent itself has a model of that name now: push this one under another"
            log.warning("model %s is left out: %s", path.stem, reason)
            self.damaged[path.stem] = reason
            return
        try:
            self._stored[path.stem] = self._read(path)
        except DAMAGES as error:
            reason = _reason(error)
            log.warning("model %s is damaged and left out, until it is pushed again: %s", path.stem, reason)
            self.damaged[path.stem] = reason

    def _read(self, path: Path) -> StoredModel:
        document = json.loads(path.read_bytes())
        manifest = ModelManifest.model_validate(document["manifest"])
        description = ModelDescription.model_validate(document["description"])
        if description.name != path.stem:
            raise ValueError(f"{path.name} describes a model {description.name!r}")
        for digest in manifest.digests:
            if self.blob(digest) is None:
                raise FileNotFoundError(f"its file {digest} is gone")
        labels = self.blob(manifest.labels) if manifest.labels else None
        model = StoredModel(description, self.lay_out(manifest), labels, manifest)
        _ = model.labels  # raises where they cannot be read
        return model

    def _recall_default(self) -> str | None:
        try:
            name = self._default_file.read_text().strip()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read, no default is chosen: %s", self._default_file, error)
            return None
        if not self._classifies(name):
            log.warning("the default model %.100r is not here or classifies no pictures: another one answers", name)
        return name


def _link(path: Path, blob: Path) -> None:
    """Give a blob a second name, in place of anything else that has it."""
    with contextlib.suppress(OSError):
        if path.samefile(blob):
            return
    if path.is_dir() and not path.is_symlink():
        move_aside(path)
    path.unlink(missing_ok=True)
    path.hardlink_to(blob)


def _reason(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return f"what is known of it cannot be read ({error.error_count()} faults)"
    if isinstance(error, OSError):
        return str(error).encode(errors="replace").decode()
    return f"what is known of it cannot be read ({type(error).__name__})"


def _file_name(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _folder_name(manifest: ModelManifest) -> str:
    return _file_name(identity(manifest.model, manifest.parts))


class Receiver:
    """Takes the bytes of one upload, hashing as they come. Use as a context manager: what is not kept is removed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part = folder / f".{secrets.token_hex(8)}.part"
        self._hash = hashlib.sha256()
        self._file = self._part.open("xb")
        self.size_bytes = 0

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Append bytes; raises AgentError when the disk is full."""
        with storage_faults():
            self._file.write(chunk)
        self._hash.update(chunk)
        self.size_bytes += len(chunk)

    @property
    def digest(self) -> str:
        """The digest of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def keep(self, digest: str) -> bool:
        """Store the bytes under their digest, which must be the one given; False when they were there already."""
        found = self.digest
        if found != digest:
            raise AgentError(ErrorCode.WRONG_DIGEST, f"sent as {digest}, but the {self.size_bytes} bytes have {found}")
        with storage_faults():
            self._file.flush()
            os.fsync(self._file.fileno())
            path = self._folder / digest.removeprefix("sha256:")
            known = path.is_file()
            put_in_place(self._part, path)
        return not known

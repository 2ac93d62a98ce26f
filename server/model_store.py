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
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from contract.codes import ErrorCode
from contract.models import Fit, ModelDescription, ModelManifest, Preprocessing, TensorInfo, identity
from image_model.catalog import EMBEDDED_FOLDER, EMBEDDED_MODEL, PREFERRED_MODEL, load_catalog
from image_model.labels import LabelError, parse_labels
from server.disk import storage_faults, write_atomically
from server.errors import AgentError
from server.runtimes import MAIN_NAMES
from server.synthesis import SYNTHETIC_MODELS
from server.workers.messages import ModelSource, ModelSpec

log = logging.getLogger(__name__)

ORPHAN_AGE_S = 3600.0


@dataclass(frozen=True)
class StoredModel:
    """A model the agent can run: what is known about it and where its files are."""

    description: ModelDescription
    source: ModelSource
    labels_path: Path | None
    manifest: ModelManifest | None
    """What was declared when it was put; None for the embedded model."""

    @cached_property
    def labels(self) -> Mapping[int, str]:
        """Names by class index; empty when the model came without labels that can be read."""
        try:
            return parse_labels(self.labels_path.read_bytes()) if self.labels_path else {}
        except LabelError as error:  # kept by an agent that took more than this one
            log.warning("the labels of model %s are left out: %s", self.description.name, error)
            return {}

    @cached_property
    def spec(self) -> ModelSpec:
        """What a worker needs; raises AgentError when the model does not classify pictures."""
        described = self.description
        if not described.classifier or described.preprocessing is None:
            detail = f"{described.name}: {described.not_a_classifier_because}"
            raise AgentError(ErrorCode.NOT_A_CLASSIFIER, detail)
        return ModelSpec(
            source=self.source,
            input_range=described.preprocessing.input_range,
            fit=described.preprocessing.fit,
            logits=described.output_kind == "logits",
        )


class ModelStore:
    """Keeps models under one folder and remembers them in memory."""

    def __init__(self, folder: Path) -> None:
        self._blobs, self._models = folder / "blobs", folder / "models"
        self._default_file = folder / "default-model"
        self._laid_out = folder / "files"
        for path in (self._blobs, self._models, self._laid_out):
            path.mkdir(parents=True, exist_ok=True)
        self._stored = {EMBEDDED_MODEL: embedded_model()}
        for path in sorted(self._models.glob("*.json")):
            self._recall(path)
        self._chosen_default = self._default_file.read_text().strip() if self._default_file.exists() else None
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
            held = ", ".join(sorted(self._stored))
            hint = f"`client models write {name}` has it written" if name in SYNTHETIC_MODELS else None
            raise AgentError(
                ErrorCode.UNKNOWN_MODEL,
                f"no model {name!r}; this agent holds {held} and can write {', '.join(SYNTHETIC_MODELS)}",
                hint=hint,
            ) from None

    @property
    def chosen_default(self) -> str | None:
        """The default somebody chose, as long as it is there."""
        return self._chosen_default if self._chosen_default in self._stored else None

    @property
    def default(self) -> StoredModel:
        """The model that answers requests which name none."""
        preferred = PREFERRED_MODEL if PREFERRED_MODEL in self._stored else EMBEDDED_MODEL
        return self._stored[self.chosen_default or preferred]

    def choose_default(self, name: str) -> None:
        """Remember a default; raises AgentError for a model that is not there or cannot classify."""
        _ = self.get(name).spec
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
        folder.mkdir(exist_ok=True)
        names = {MAIN_NAMES[manifest.format]: manifest.model, **manifest.parts}
        for name, digest in names.items():
            blob = self.blob(digest)
            if blob is None:
                raise KeyError(digest)
            with contextlib.suppress(FileExistsError):
                (folder / name).hardlink_to(blob)
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
        self._recall(path)
        self.remove_orphans()
        return self._stored[description.name]

    def remove(self, name: str) -> None:
        """Forget a model. Its files stay an hour for requests that are under way."""
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
        for path in (*self._blobs.iterdir(), *self._laid_out.iterdir()):
            with contextlib.suppress(OSError):
                if path.name in named or time.time() - path.stat().st_mtime < ORPHAN_AGE_S:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def _recall(self, path: Path) -> None:
        """Read what `put` wrote; a model whose files are gone is left out, so that it can be uploaded again."""
        try:
            document = json.loads(path.read_bytes())
            manifest = ModelManifest.model_validate(document["manifest"])
            description = ModelDescription.model_validate(document["description"])
        except (ValueError, KeyError):
            log.warning("%s cannot be read and is ignored", path)
            return
        labels = self.blob(manifest.labels) if manifest.labels else None
        try:
            source = self.lay_out(manifest)
        except KeyError:
            log.warning("the files of model %s are gone", description.name)
            return
        if manifest.labels and labels is None:
            log.warning("the labels of model %s are gone", description.name)
            return
        self._stored[description.name] = StoredModel(description, source, labels, manifest)


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
        """Of what was written so far."""
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
            self._part.replace(path)
        return not known


def embedded_model() -> StoredModel:
    """The model that ships with the agent."""
    entry = load_catalog()[EMBEDDED_MODEL]
    card = json.loads((EMBEDDED_FOLDER / f"{EMBEDDED_MODEL}.json").read_bytes())
    description = ModelDescription(
        name=entry.name,
        digest=entry.model.digest,
        format="tflite",
        size_bytes=entry.model.size_bytes,
        embedded=True,
        inputs=[TensorInfo(**fields) for fields in card["inputs"]],
        outputs=[TensorInfo(**fields) for fields in card["outputs"]],
        classifier=True,
        class_count=card["outputs"][0]["shape"][-1],
        label_count=card["outputs"][0]["shape"][-1],
        preprocessing=Preprocessing(input_range=entry.input_range, fit=Fit(entry.fit)),
        output_kind="probabilities",
        runtimes={},
        source=entry.source,
        licence=entry.licence,
    )
    folder = EMBEDDED_FOLDER
    source = ModelSource("tflite", str(folder / entry.model.name), entry.model.digest, {})
    return StoredModel(description, source, folder / entry.labels.name, manifest=None)

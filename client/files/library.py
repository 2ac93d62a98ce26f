"""The models this machine knows by name, fetched once and pushed to agents."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from platformdirs import user_data_path

from client.errors import EdgeError
from client.sdk.calls import Progress
from contract.models import Fit, ModelManifest, Outputs, Preprocessing
from image_model.catalog import CatalogEntry, CatalogFile, load_catalog
from image_model.download import DownloadError, PulledModel, pull, pulled_model

MIRROR_VARIABLE = "EDGERUN_MODEL_MIRROR"


class LibraryError(EdgeError):
    """A model is not known, or cannot be fetched."""


class Library:
    """Catalog models in the user's data folder."""

    def __init__(self, folder: Path | None = None, mirror: str | None = None) -> None:
        """`mirror` defaults to `EDGERUN_MODEL_MIRROR`: a folder or URL that holds the files."""
        self._folder = folder or user_data_path("edgerun")
        self._mirror = mirror or os.environ.get(MIRROR_VARIABLE) or None

    def entry(self, name: str) -> CatalogEntry:
        """The catalog's entry; raises LibraryError."""
        catalog = load_catalog()
        if name not in catalog:
            hint = "`client models push FILE --name NAME` brings a model of your own"
            raise LibraryError(f"the catalog has no model {name!r}; it has {', '.join(catalog)}", hint=hint)
        return catalog[name]

    def find(self, name: str) -> PulledModel | None:
        """The model as fetched earlier, None when it is not on this machine."""
        return pulled_model(self.entry(name), self._folder)

    def pull(self, name: str, progress: Progress | None = None) -> PulledModel:
        """The model, fetched if need be; raises LibraryError."""
        entry = self.entry(name)
        if entry.embedded:
            raise LibraryError(f"{name} is part of every agent: there is nothing to fetch")

        def report(file: CatalogFile, received: int) -> None:
            if progress is not None:
                progress(file.name, received, file.size_bytes)

        with self._alone():
            try:
                return pull(entry, self._folder, mirror=self._mirror, progress=report)
            except DownloadError as error:
                raise LibraryError(str(error)) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two programs that fetch the same file at once would mix their bytes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "models.lock"):
            yield


def manifest_of(model: PulledModel) -> tuple[ModelManifest, Mapping[str, Path]]:
    """What pushes a catalog model to an agent: its manifest, and its files by digest."""
    entry = model.entry
    manifest = ModelManifest(
        model=entry.model.digest,
        labels=entry.labels.digest,
        preprocessing=Preprocessing(input_range=entry.input_range, fit=Fit(entry.fit)),
        outputs=Outputs(entry.outputs),
        source=entry.source,
        licence=entry.licence,
    )
    return manifest, {file.digest: model.path(file) for file in (entry.model, entry.labels)}

"""Fixtures that more than one folder of tests uses."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_model.catalog import PREFERRED_MODEL, CatalogEntry, load_catalog
from image_model.download import pull
from server.runtimes import formats_of, installed_runtimes
from tests.agents import TOKEN, RunningAgent, running_agent
from tests.home import Home

MIRROR_VARIABLE = "EDGERUN_MODEL_MIRROR"
TFLITE_RUNTIMES = sorted(name for name in installed_runtimes() if "tflite" in formats_of(name))


def pytest_configure() -> None:
    """Tests press Ctrl-C: where they were started with it ignored, as by `&` in a script, programs inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests may take an hour."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent without a token, shared by tests that leave it as they found it."""
    with running_agent(tmp_path_factory.mktemp("agent")) as running:
        yield running


@pytest.fixture(scope="module")
def secured_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent with token and TLS, one a file: it slows down for a minute after a file of wrong tokens."""
    with running_agent(tmp_path_factory.mktemp("secured"), "--workers", "1", token=TOKEN) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A fresh user, also for code that runs within the test."""
    made = Home(tmp_path)
    for name in ("EDGERUN_HOST", "EDGERUN_TOKEN", "EDGERUN_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", made.environment["XDG_CONFIG_HOME"])
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture(scope="session")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> "SuppliedModel":
    """The supplied MobileNetV2 with labels and parrot; skips where EDGERUN_MODEL_MIRROR does not have it."""
    entry = load_catalog()[PREFERRED_MODEL]
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror or not (Path(mirror) / entry.model.name).is_file():
        pytest.skip(f"set {MIRROR_VARIABLE} to a folder with {entry.model.name} to run this test")
    return SuppliedModel(entry, pull(entry, tmp_path_factory.mktemp("library"), mirror=mirror).folder, mirror)


class SuppliedModel:
    """The model of the CHI@Edge teaching notebook on this machine."""

    def __init__(self, entry: CatalogEntry, folder: Path, mirror: str) -> None:
        self.entry = entry
        self.mirror = mirror
        self.model_path = folder / entry.model.name
        self.labels_path = folder / entry.labels.name
        self.parrot = (folder / entry.samples[0].name).read_bytes()

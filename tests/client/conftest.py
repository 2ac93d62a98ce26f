"""A fresh user for each test."""

from pathlib import Path

import pytest

from tests.home import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A fresh user, also for code that runs within the test."""
    made = Home(tmp_path)
    for name in ("EDGERUN_HOST", "EDGERUN_TOKEN", "EDGERUN_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", made.environment["XDG_CONFIG_HOME"])
    monkeypatch.chdir(tmp_path)
    return made

"""A site on loopback and a user with credentials for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chi_at_edge.containers import namespaces_work
from tests.chi_at_edge.service import running_testbed
from tests.chi_at_edge.state import Testbed
from tests.home import Home
from tests.provisioning.trial import Trial


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    """A fresh site with one lease, `demo`."""
    if not namespaces_work():
        pytest.skip("this machine allows no user namespaces, and the loopback containers need them")
    with running_testbed(tmp_path / "testbed") as running:
        yield running


@pytest.fixture
def student(testbed: Testbed, tmp_path: Path) -> Home:
    """A user who exported credentials for the site."""
    made = Home(tmp_path / "home")
    made.folder.mkdir()
    made.environment.update(testbed.environment())
    return made


@pytest.fixture
def logged_in(testbed: Testbed, monkeypatch: pytest.MonkeyPatch) -> Testbed:
    """The site, with its credentials in this process too."""
    for name, value in testbed.environment().items():
        monkeypatch.setenv(name, value)
    return testbed


@pytest.fixture
def trial(logged_in: Testbed) -> Trial:
    """The provider and one deployment on the site."""
    return Trial(logged_in)

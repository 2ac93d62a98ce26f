"""A place that already serves somebody else's agent: `up` never touches it, whatever name or port is asked for."""

import os
from pathlib import Path

import pytest

from image_model.catalog import SAMPLES_FOLDER
from tests.home import Home
from tests.provisioning import sshd, wheelhouse


@pytest.fixture
def first(tmp_path: Path) -> Home:
    """Whose agent is there already."""
    return Home(tmp_path / "first")


@pytest.fixture
def second(tmp_path: Path) -> Home:
    """Who comes later, from another machine."""
    return Home(tmp_path / "second")


@pytest.fixture(autouse=True)
def homes(tmp_path: Path) -> None:
    """The folders of both."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()


def answers(user: Home) -> bool:
    """Whether their agent still knows them and classifies."""
    done = user.client("classify", str(SAMPLES_FOLDER / "digit-3.png"), "--host", "edge1", "-o", "json")
    return done.returncode == 0


def refused(user: Home, *options: str) -> str:
    """The complaint of an `up` that fails, leaves nothing here, and removes nothing."""
    done = user.provision("up", *options, "--model", "none")
    assert (done.returncode, "Traceback" in done.stderr, "could not be undone" in done.stderr) == (1, False, False)
    assert not list((user.folder / "state").rglob("*.json"))
    return done.stderr


def as_they_are(folder: Path) -> dict[str, tuple[int, int]]:
    """Files of a folder by inode and time, less what an agent that runs writes by itself."""
    kept = (path for path in folder.rglob("*") if not {"data", "__pycache__"} & set(path.relative_to(folder).parts))
    return {str(path): (os.lstat(path).st_ino, os.lstat(path).st_mtime_ns) for path in kept}


@pytest.mark.slow
def test_on_a_board(first: Home, second: Home, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same account there: a taken name or port is refused, another name works beside it and goes alone."""
    wheels = wheelhouse.fill(tmp_path_factory.mktemp("wheels"))
    with sshd.device() as device:
        options = (*device.on, "--offline")
        done = first.provision("up", *options, "--name", "edge1", "--model", "none", **wheels)
        assert done.returncode == 0, done.stderr
        port = first.hosts.named("edge1").url.rpartition(":")[2]
        folder = device.home / ".edgerun" / "edge1"
        processes, before = device.processes(), as_they_are(folder)

        said = refused(second, *options, "--name", "edge1")
        assert "there is an agent edge1 on that device already" in said
        assert ("removing" in said, "undoing" in said) == (False, False), said
        second.environment.update(wheels)
        said = refused(second, *options, "--name", "mine", "--port", port)
        assert ("Address already in use" in said, f"removing {folder.parent}/mine" in said) == (True, True), said
        assert (device.processes(), as_they_are(folder), answers(first)) == (processes, before, True)

        done = second.provision("up", *options, "--name", "mine", "--model", "none")
        assert done.returncode == 0, done.stderr
        assert second.provision("down", "mine").returncode == 0
        assert (device.processes(), as_they_are(folder), answers(first)) == (processes, before, True)
        assert first.provision("down", "edge1").returncode == 0
        assert (device.leftovers(), device.processes()) == ([], [])


def test_on_this_machine(first: Home, second: Home) -> None:
    """Another user has other folders, so names do not collide; a taken port is refused."""
    options = ("--on", "local", "--name", "edge1")
    assert first.provision("up", *options, "--model", "none").returncode == 0
    port = first.hosts.named("edge1").url.rpartition(":")[2]
    assert "Address already in use" in refused(second, *options, "--port", port)
    done = second.provision("up", *options, "--model", "none")
    assert done.returncode == 0, done.stderr
    assert second.provision("down", "edge1").returncode == 0
    assert answers(first)
    assert first.provision("down", "edge1").returncode == 0


def test_a_folder_of_this_machine_that_another_deployment_has(first: Home, second: Home) -> None:
    """Where two states share one data folder, the agent of the other is not taken for one's own."""
    options = ("--on", "local", "--name", "edge1")
    assert first.provision("up", *options, "--model", "none").returncode == 0
    second.environment["XDG_DATA_HOME"] = first.environment["XDG_DATA_HOME"]
    said = refused(second, *options)
    assert ("is of another agent" in said, "undoing" in said) == (True, False), said
    assert answers(first)
    assert first.provision("down", "edge1").returncode == 0

"""Boards whose system is too old for the agent: what `up` chooses, what it says, and that it leaves nothing."""

import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_model.catalog import SAMPLES_FOLDER
from tests.home import Home
from tests.provisioning import relocatable, sshd, wheelhouse

OLD_LIBC = """case "$1" in
GNU_LIBC_VERSION) echo glibc 2.23;;
LONG_BIT) echo 64;;
*) echo "getconf: Unrecognized variable \\`$1'" >&2; exit 2;;
esac"""
NO_RIGHTS = """[ "$1" = version ] || { echo "docker: '$1' was not expected" >&2; exit 1; }
echo
echo "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock" >&2
exit 1"""
BREAKS = """case "$*" in
"version --format {{.Server.Version}}") echo 20.10.7;;
"info --format {{range "*) echo "io.containerd.runc.v2 nvidia runc ";;
"system dial-stdio") echo "the engine went away" >&2; exit 1;;
*) echo "unknown command: docker $1" >&2; exit 1;;
esac"""


@pytest.fixture
def user(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the device's user may look, other than a test's own folder."""
    made = Path(tempfile.mkdtemp(prefix="edgerun-tools-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def up(user: Home, device: sshd.Device, *options: str) -> tuple[int, str]:
    """Exit code and complaint of an `up` that fails; nothing may be left of it, here or there."""
    done = user.provision("up", *device.on, "--name", "pi4", "--model", "none", *options)
    assert "Traceback" not in done.stderr
    assert not list((user.folder / "state").rglob("*.json")), done.stderr
    assert user.hosts.hosts() == {}
    assert device.leftovers() == []
    return done.returncode, done.stderr


def test_docker_without_the_rights_is_a_clear_no(user: Home, folder: Path) -> None:
    """Reason, what keeps Docker from helping, and the line that changes it."""
    tools = sshd.tools(folder / "bin", sshd.OLD_PYTHON, getconf=OLD_LIBC, docker=NO_RIGHTS)
    with sshd.device(path=tools) as device:
        code, said = up(user, device)
    assert (code, "its C library is glibc 2.23, too old" in said) == (1, True), said
    assert "permission denied" in said
    assert "sudo usermod -aG docker USER" in said


def test_docker_on_the_board_is_chosen_and_said(user: Home, folder: Path) -> None:
    """In one line with the reason; an engine that then fails is told in its own words, and nothing is left."""
    with sshd.device(path=sshd.tools(folder / "bin", sshd.OLD_PYTHON, docker=BREAKS)) as device:
        code, said = up(user, device)
        assert "Docker 20.10.7 with the nvidia runtime" in said
        assert "its Python is 3.8.10, and 3.11 or newer is needed: running the agent in Docker on the device" in said
        assert (code, "says: the engine went away" in said) == (3, True), said
        assert "could not be undone" not in said


def test_what_only_docker_understands_needs_docker(user: Home, folder: Path) -> None:
    """An option for containers is not left aside in silence."""
    with sshd.device(path=sshd.tools(folder / "bin", sshd.OLD_PYTHON)) as device:
        code, said = up(user, device, "--image", "edgerun-agent")
    assert (code, "--image needs Docker there, and it has none" in said) == (1, True), said


def test_a_python_that_is_brought_along(user: Home, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A board with an old Python runs the agent with the one of an archive, and `down` takes that away again."""
    archive = relocatable.pack(tmp_path_factory.mktemp("archive") / "cpython.tar.gz")
    wheels = wheelhouse.fill(tmp_path_factory.mktemp("wheels"))
    with sshd.device(path=sshd.tools(folder / "bin", sshd.OLD_PYTHON)) as device:
        options = (*device.on, "--name", "pi4", "--model", "none", "--offline", "--python-archive", str(archive))
        done = user.provision("up", *options, **wheels)
        assert (done.returncode, "uploading cpython.tar.gz" in done.stderr) == (0, True), done.stderr
        picture = str(SAMPLES_FOLDER / "digit-3.png")
        answer = user.client("classify", picture, "--host", "pi4", "-o", "json")
        assert json.loads(answer.stdout)["results"][0]["predictions"][0]["label"] == "3"
        where = user.provision("exec", "pi4", "--", "python", "-c", "import sys; print(sys.base_prefix)").stdout
        assert where.strip() == f"{device.home}/.edgerun/pi4/python"
        down = user.provision("down", "pi4")
        assert (down.returncode, down.stderr.count("removing")) == (0, 1), down.stderr
        assert (device.leftovers(), device.processes()) == ([], [])


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("exec /nowhere/python3", "does not run on the device"),
        ("echo 3.9.2", "has Python 3.9.2, and 3.11 or newer is needed"),
    ],
)
def test_a_python_that_does_not_fit_is_refused(user: Home, folder: Path, program: str, complaint: str) -> None:
    """One for another machine or an older one: said in a line, and the upload is taken away again."""
    archive = folder / "cpython.tar.gz"
    python = folder / "python3"
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(python, "python/bin/python3")
    with sshd.device(path=sshd.tools(folder / "bin", sshd.OLD_PYTHON)) as device:
        code, said = up(user, device, "--python-archive", str(archive))
    assert (code, complaint in said, "install_only" in said) == (1, True, True), said


def test_what_is_no_archive_of_a_python_is_refused(user: Home, folder: Path) -> None:
    """Before anything is made there."""
    (folder / "some.tar.gz").write_bytes(b"not one")
    with sshd.device(path=sshd.tools(folder / "bin", sshd.OLD_PYTHON)) as device:
        code, said = up(user, device, "--python-archive", str(folder / "some.tar.gz"))
    assert (code, "cannot be read as a .tar.gz" in said) == (1, True), said

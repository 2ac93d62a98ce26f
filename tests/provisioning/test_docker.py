"""The Docker provider on a real engine (`-m slow`): more runtimes, a picture, health, engines elsewhere."""

import json
import os
import shlex
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from image_model.catalog import SAMPLES_FOLDER
from tests.agents import wait_for
from tests.conftest import SuppliedModel
from tests.home import Home
from tests.provisioning import engines, sshd

pytestmark = pytest.mark.slow
NAME = "box"
GROUP = 65099
"""Of a device of the engine's host, and of nobody."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The options of an image with ONNX Runtime, built once."""
    engines.build(tmp_path_factory.mktemp("build"), "--with", "onnx")
    return (*engines.options(), "--with", "onnx")


@pytest.fixture
def user(tmp_path: Path) -> Iterator[Home]:
    """Somebody with a Docker engine; nothing of theirs stays on it."""
    made = Home(tmp_path)
    made.environment.update(engines.variables())
    yield made
    made.provision("down", NAME)
    assert not [*engines.ours(NAME, "ps", "--all"), *engines.ours(NAME, "volume", "ls")]


def up(user: Home, *options: str, on: str = "docker", **variables: str) -> None:
    done = user.provision("up", "--on", on, "--name", NAME, *options, **variables)
    assert done.returncode == 0, done.stderr


def answers(user: Home) -> None:
    done = user.client("classify", str(SAMPLES_FOLDER / "digit-3.png"), "--model", "digits", "-o", "json")
    assert json.loads(done.stdout)["results"][0]["predictions"][0]["label"] == "3", done.stderr


def test_up_parrot_healthy_down(user: Home, image: tuple[str, ...], mobilenet: SuppliedModel) -> None:
    """A macaw is recognised, the image's own probe is content, the runtime asked for is there, and all goes."""
    up(user, *image, EDGERUN_MODEL_MIRROR=mobilenet.mirror)
    done = user.client("classify", "-", "-o", "json", stdin=mobilenet.parrot)
    assert json.loads(done.stdout)["results"][0]["predictions"][0]["label"] == "macaw", done.stderr
    wait_for(lambda: "running, healthy" in user.provision("status", NAME, "-o", "json").stdout, timeout_s=90)
    if platform := os.environ.get("DOCKER_DEFAULT_PLATFORM"):
        machine = user.provision("exec", NAME, "--", "uname", "-m").stdout.strip()
        assert machine == {"linux/arm64": "aarch64", "linux/amd64": "x86_64"}[platform]
    assert user.provision("exec", NAME, "--", "python", "-c", "import onnxruntime").returncode == 0
    down = user.provision("down", NAME)
    assert down.returncode == 0, down.stderr


def test_an_image_without_what_was_asked_for_is_refused(user: Home, image: tuple[str, ...]) -> None:
    """`--image` is taken as it is: what is missing in it is said, with the build argument that brings it."""
    assert image
    list_images = ["docker", "images", "edgerun-agent", "--format", "{{.Repository}}:{{.Tag}}"]
    newest = subprocess.run(list_images, capture_output=True, text=True, check=True).stdout.split()[0]
    asked = ("--image", newest, "--with", "openvino")
    done = user.provision("up", "--on", "docker", *engines.options(), "--name", NAME, *asked)
    assert (done.returncode, "the agent's Python has no openvino" in done.stderr) == (1, True), done.stderr
    assert "EXTRAS=server,openvino" in done.stderr


@pytest.fixture
def pin() -> Iterator[str]:
    """A device that a group of the engine's host may use, and what it swallows: another node of /dev/null."""
    if os.geteuid() != 0 or "ssh://" in os.environ.get("DOCKER_HOST", ""):
        pytest.skip("a device for the engine's host needs root on it")
    path = Path("/dev/gpiochip242")
    os.mknod(path, 0o660 | stat.S_IFCHR, os.makedev(1, 3))
    try:
        os.chown(path, 0, GROUP)
        path.chmod(0o660)
        yield str(path)
    finally:
        path.unlink()


def test_runtime_variables_and_devices(user: Home, image: tuple[str, ...], pin: str) -> None:
    """The container has them, the agent's user may use the device, and a second `up` changes nothing."""
    asked = (*image, "--runtime", "runc", "--env", "SAID=a=b c", "--device-profile", "gpio", "--model", "none")
    up(user, *asked)
    (state,) = json.loads(subprocess.check_output(["docker", "inspect", *engines.ours(NAME, "ps")]))
    host = state["HostConfig"]
    assert (host["Runtime"], host["CapDrop"], host["GroupAdd"]) == ("runc", ["ALL"], [str(GROUP)])
    assert pin in [device["PathOnHost"] for device in host["Devices"]]
    done = user.provision("exec", NAME, "--", "sh", "-c", f'echo "$SAID" && echo high > {pin}')
    assert (done.returncode, done.stdout) == (0, "a=b c\n"), done.stderr
    again = user.provision("up", "--on", "docker", "--name", NAME, *asked)
    assert "is up already" in again.stderr, again.stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--runtime", "nosuch"), "the Docker engine has no runtime nosuch; it has "),
        (("--device-profile", "pi_camera"), "there are camera, gpio, vcio"),
        (("--device-profile", "vcio"), "the engine's host has no /dev/vcio"),
    ],
)
def test_what_the_engine_does_not_have(
    user: Home, image: tuple[str, ...], options: tuple[str, ...], complaint: str
) -> None:
    """A runtime, a profile and a device are looked for before there is a container."""
    if "vcio" in options and Path("/dev/vcio").exists():
        pytest.skip("this is a Raspberry Pi")
    done = user.provision("up", "--on", "docker", "--name", NAME, *image, *options, "--model", "none")
    assert (done.returncode, complaint in done.stderr) == (1, True), done.stderr
    assert not [*engines.ours(NAME, "ps", "--all"), *engines.ours(NAME, "volume", "ls")]


def test_an_engine_of_a_docker_context(user: Home, image: tuple[str, ...]) -> None:
    """`docker://NAME` is the context of that name, wherever DOCKER_HOST points."""
    engine = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    config = {"DOCKER_CONFIG": str(user.folder / "docker")}
    (user.folder / "docker").mkdir()
    (user.folder / "docker" / "config.json").write_text("{}")  # without, the SDK looks for contexts in ./contexts
    create = ["docker", "context", "create", "other", "--docker", f"host={engine}"]
    subprocess.run(create, env={**os.environ, **config}, check=True, capture_output=True)
    elsewhere = {**config, "DOCKER_HOST": "unix:///nowhere.sock"}
    up(user, *image, "--model", "none", on="docker://other", **elsewhere)
    answers(user)
    down = user.provision("down", NAME, **elsewhere)
    assert down.returncode == 0, down.stderr


def test_an_engine_of_another_host_by_ssh(user: Home, image: tuple[str, ...], tmp_path: Path) -> None:
    """`docker://USER@HOST` goes through `ssh`, as docker itself does, with the user's own configuration."""
    docker = shutil.which("docker")
    assert docker is not None
    path = f"{Path(docker).parent}:/usr/bin:/bin"
    with _shared_engine() as shared, sshd.device(path=path, DOCKER_HOST=f"unix://{shared}") as device:
        programs = tmp_path / "programs"
        programs.mkdir()
        line = ["/usr/bin/ssh", "-i", str(device.key), "-o", f"UserKnownHostsFile={device.known_hosts}"]
        (programs / "ssh").write_text(f'#!/bin/sh\nexec {shlex.join(line)} "$@"\n')
        (programs / "ssh").chmod(0o755)
        elsewhere = {"PATH": f"{programs}:{os.environ['PATH']}", "DOCKER_HOST": "unix:///nowhere.sock"}
        up(user, *image, "--model", "none", on=f"docker://{sshd.USER}@127.0.0.1:{device.port}", **elsewhere)
        answers(user)
        down = user.provision("down", NAME, **elsewhere)
        assert down.returncode == 0, down.stderr


@contextmanager
def _shared_engine() -> Iterator[Path]:
    """The engine's socket for every user of this machine, as members of the group docker have it."""
    target = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    with tempfile.TemporaryDirectory(prefix="edgerun-engine-") as name, socket.socket(socket.AF_UNIX) as listener:
        path = Path(name) / "docker.sock"
        path.parent.chmod(0o755)
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        threading.Thread(target=_forward, args=(listener, target), daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


def _forward(listener: socket.socket, target: str) -> None:
    while True:
        try:
            visitor, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(visitor, target), daemon=True).start()


def _serve(visitor: socket.socket, target: str) -> None:
    with visitor, socket.socket(socket.AF_UNIX) as engine:
        engine.connect(target)
        back = threading.Thread(target=_copy, args=(engine, visitor), daemon=True)
        back.start()
        _copy(visitor, engine)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass

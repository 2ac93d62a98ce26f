"""The promises of conformance.py, kept on this machine, on a device by SSH, and on a leased device.

With `-m slow` also through a jump host, with a Python that is brought along, and in containers.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.chi_at_edge.state import AGENT_IMAGE, Testbed
from tests.home import Home
from tests.provisioning import conformance, engines, relocatable, sshd, wheelhouse
from tests.provisioning.conformance import NAME, Place

KINDS = (
    *("local", "ssh", "chi"),
    *(
        pytest.param(kind, marks=pytest.mark.slow)
        for kind in ("jump", "docker", "docker-by-ssh", "docker-by-tunnel", "ssh-with-python")
    ),
)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables that point pip at a folder with all wheels of the agent."""
    return wheelhouse.fill(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A fresh user and a fresh place."""
    user = request.getfixturevalue("student") if request.param == "chi" else Home(tmp_path)
    if request.param == "chi":
        yield _chi(user, request.getfixturevalue("testbed"))
    elif request.param == "local":
        yield _local(user)
    elif request.param == "ssh":
        with sshd.device() as device:
            yield _ssh(user, device, request.getfixturevalue("wheels"))
    elif request.param == "jump":
        with sshd.device() as device:
            yield _jump(user, device, request.getfixturevalue("wheels"))
    elif request.param == "ssh-with-python":
        archive = relocatable.pack(tmp_path / "cpython.tar.gz")
        with sshd.device() as device:
            made = _ssh(user, device, request.getfixturevalue("wheels"))
            yield replace(made, options=(*made.options, "--python-archive", str(archive)))
    elif request.param.startswith("docker-by-"):
        made = _docker(user, tmp_path / "build")
        with engines.on_a_board() as device:
            yield replace(
                made,
                options=(*device.on, *engines.options(), *(["--tunnel"] if "tunnel" in request.param else [])),
                variables={},
                leftovers=lambda: [*made.leftovers(), *device.leftovers()],
            )
    else:
        yield _docker(user, tmp_path / "build")
    user.provision("down", NAME)


@pytest.mark.parametrize("place", KINDS, indirect=True)
def test_a_life(place: Place) -> None:
    """See conformance.whole_life: the same for every kind of place."""
    conformance.whole_life(place)


@pytest.mark.parametrize(
    "delay_s", [0.8, 1.5, *(pytest.param(delay_s, marks=pytest.mark.slow) for delay_s in (0.4, 3.0, 6.0, 12.0))]
)
@pytest.mark.parametrize("place", KINDS, indirect=True)
def test_a_kill_at_any_moment(place: Place, delay_s: float) -> None:
    """See conformance.survives_a_kill."""
    conformance.survives_a_kill(place, delay_s)


def _local(user: Home) -> Place:
    folder = user.folder / "data" / "edgerun" / "agents"

    def kill() -> None:
        state = json.loads((user.folder / "state" / "edgerun" / "deployments" / f"{NAME}.json").read_text())
        psutil.Process(state["resources"]["pid"]).kill()

    return Place(
        user, ("--on", "local", "--with", "openvino,onnx"), {}, kill, lambda: [str(path) for path in folder.glob("*")]
    )


def _chi(user: Home, testbed: Testbed) -> Place:
    def restart() -> None:
        for container in testbed.containers.values():
            container.pod.restart()

    options = ("--lease", "demo", "--image", AGENT_IMAGE)
    return Place(user, options, {}, restart, lambda: [each for kind in testbed.left() for each in kind], False)


def _ssh(user: Home, device: sshd.Device, wheels: dict[str, str]) -> Place:
    # The device's own pip has no index to ask: everything must come from here.
    (device.home / ".config" / "pip").mkdir(parents=True)
    (device.home / ".config" / "pip" / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/simple\n")
    before = device.leftovers()

    def leftovers() -> list[str]:
        return [*set(device.leftovers()) - set(before), *(" ".join(each.cmdline()) for each in device.processes())]

    return Place(user, (*device.on, "--offline", "--with", "onnx"), wheels, device.kill_agent, leftovers)


def _jump(user: Home, device: sshd.Device, wheels: dict[str, str]) -> Place:
    """The same device, reached through itself."""
    user.writes(".ssh/config", device.entry("behind", "ProxyJump hop") + device.entry("hop"))
    place = _ssh(user, device, wheels)
    return replace(place, options=("--on", "ssh://behind", *place.options[len(device.on) :]))


def _docker(user: Home, folder: Path) -> Place:
    variables = engines.variables()
    engines.build(folder)

    def kill() -> None:
        subprocess.run(["docker", "kill", *engines.ours(NAME, "ps")], capture_output=True, check=True)

    def leftovers() -> list[str]:
        return [*engines.ours(NAME, "ps", "--all"), *engines.ours(NAME, "volume", "ls")]

    return Place(user, ("--on", "docker", *engines.options()), variables, kill, leftovers)

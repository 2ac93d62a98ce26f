"""The Docker engine that tests use: the one that answers, for the platform of DOCKER_DEFAULT_PLATFORM.

Under emulation `EDGE_CPUINFO_ARM64` names a cpuinfo file to show the agent, which a real device has of its own.
"""

import os
import shutil
import socketserver
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.home import Home
from tests.provisioning import sshd

BUILD_TIMEOUT_S = 900


def variables() -> dict[str, str]:
    """What points programs at the engine; skips the test where none answers."""
    try:
        answers = subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        answers = False
    if not answers:
        pytest.skip("no Docker engine answers: start one, or set DOCKER_HOST")
    found = {name: value for name, value in os.environ.items() if name.startswith("DOCKER")}
    found.pop("DOCKER_DEFAULT_PLATFORM", None)
    return found


def options() -> tuple[str, ...]:
    """What `provision up` is asked for besides."""
    platform, cpuinfo = (os.environ.get(name) for name in ("DOCKER_DEFAULT_PLATFORM", "EDGE_CPUINFO_ARM64"))
    shown = ("--volume", f"{cpuinfo}:/proc/cpuinfo:ro") if cpuinfo and platform == "linux/arm64" else ()
    return (*(("--platform", platform) if platform else ()), *shown)


def build(folder: Path, *more: str) -> None:
    """Have the image built, which takes minutes under emulation: `up` and `down` once."""
    user = Home(folder)
    environment = {**user.environment, **variables()}
    for arguments in (
        ("up", "--on", "docker", *options(), *more, "--name", "built", "--model", "none"),
        ("down", "built"),
    ):
        command = [str(Path(sys.executable).with_name("provision")), *arguments]
        subprocess.run(command, env=environment, check=True, timeout=BUILD_TIMEOUT_S)


@contextmanager
def on_a_board() -> Iterator[sshd.Device]:
    """A device by SSH whose Python is too old, and whose user may use the engine."""
    docker = shutil.which("docker")
    with tempfile.TemporaryDirectory(prefix="edgerun-board-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        tools = sshd.tools(folder / "bin", sshd.OLD_PYTHON, docker=f'exec {docker} "$@"')
        with _Engine(str(folder / "docker.sock"), _Dial) as engine:
            (folder / "docker.sock").chmod(0o666)
            Thread(target=engine.serve_forever, daemon=True).start()
            with sshd.device(path=tools, DOCKER_HOST=f"unix://{folder / 'docker.sock'}") as device:
                yield device
            engine.shutdown()


class _Engine(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class _Dial(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        subprocess.run(["docker", "system", "dial-stdio"], stdin=self.request, stdout=self.request, check=False)


def ours(name: str, *command: str) -> list[str]:
    """Ids of what one deployment has: `ps --all` for containers, `volume ls` for volumes."""
    label = ["--quiet", "--filter", f"label=edgerun.name={name}"]
    return subprocess.run(["docker", *command, *label], capture_output=True, text=True, check=True).stdout.split()

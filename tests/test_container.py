"""The container image and compose file, run as the README says, on a real engine (`-m slow`).

`DOCKER_DEFAULT_PLATFORM=linux/arm64` runs the ARM64 image; under emulation `EDGE_CPUINFO_ARM64` names a cpuinfo file
to show it. Where the engine has no bridge network, the host's is used.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.agents import wait_for
from tests.home import Home
from tests.test_docs import BLOCK, README, ROOT

pytestmark = pytest.mark.slow

PROJECT = "edgerun-test"
BASE = "python:3.11-slim-bookworm"
OTHER_ONNX = "onnxruntime==1.30.0"
PACK_PYTHON = """
set -eu
base=$(python3 -c 'import sys; print(sys.base_prefix)') out=/tmp/packed/python
mkdir -p $out/bin $out/lib
cp "$(readlink -f "$(command -v python3)")" $out/bin/python3
cp -r "$base"/lib/python3.11 $out/lib
cp -P "$base"/lib/libpython3* $out/lib 2>/dev/null || true
cp -r "$(python3 -c 'import pip; print(pip.__path__[0])')" $out/lib/python3.11
tar -C /tmp/packed -czf - python
"""
"""Prints an archive of an image's Python, with pip, which runs from any folder."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def engine(*arguments: str) -> str:
    """What a docker command prints."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=600).stdout


@pytest.fixture
def environment(home: Home, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A user's environment in which compose runs under a project name of the test's own."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker engine answers: start one, or set DOCKER_HOST")
    docker = {name: value for name, value in os.environ.items() if name.startswith("DOCKER")}
    port = free_port()
    variables = {"COMPOSE_PROJECT_NAME": PROJECT, "EDGERUN_PORT": str(port)}
    files = [ROOT / "docker-compose.yml"]
    if not _works("docker", "network", "inspect", "bridge"):
        override = tmp_path / "host-network.yml"
        override.write_text(_on_the_host_network(port))
        files.append(override)
    variables["COMPOSE_FILE"] = ":".join(map(str, files))
    yield {**home.environment, **docker, **variables}
    down = ["docker", "compose", "down", "--volumes", "--timeout", "30"]
    token = {"EDGERUN_TOKEN_SHA256": "0" * 64}
    subprocess.run(down, cwd=ROOT, env={**os.environ, **variables, **token}, capture_output=True, check=False)


def _on_the_host_network(port: int) -> str:
    emulated = "arm64" in os.environ.get("DOCKER_DEFAULT_PLATFORM", "") and "EDGE_CPUINFO_ARM64" in os.environ
    variables = f"EDGERUN_PORT: '{port}'{', QEMU_CPU: cortex-a72' if emulated else ''}"  # as DockerProvider has it
    lines = [
        "services:",
        "  agent:",
        "    build: {context: ., network: host}",
        "    network_mode: host",
        "    ports: !reset []",
        f"    environment: {{{variables}}}",
    ]
    if emulated:
        lines.append(f"    volumes: ['{os.environ['EDGE_CPUINFO_ARM64']}:/proc/cpuinfo:ro']")
    return "\n".join(lines) + "\n"


def test_the_readmes_container_classifies_is_confined_and_comes_back(home: Home, environment: dict[str, str]) -> None:
    """Built, healthy, reached over pinned TLS, locked down, restarted when its process dies, and removed."""
    shown = [block["code"] for block in BLOCK.finditer(README) if "docker compose" in block["code"]]
    up, use = (code.replace("127.0.0.1:8080", f"127.0.0.1:{environment['EDGERUN_PORT']}") for code in shown)
    last = "docker compose down --volumes\n"
    assert use.endswith(last)
    token = "export EDGERUN_TOKEN EDGERUN_TOKEN_SHA256"
    saved = home.folder / "token.sh"
    printed = _bash(f"{up}\n{use.removesuffix(last)}\n{token}\nexport -p | grep EDGERUN_TOKEN > {saved}", environment)
    assert re.search(r"on box: digits .*^1 +0\.99\d+ +3 *$", printed, re.DOTALL | re.MULTILINE), printed

    container = engine("ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").strip()
    (state,) = json.loads(engine("inspect", container))
    assert state["Config"]["User"] == "10001:10001"
    assert state["HostConfig"]["ReadonlyRootfs"]
    assert state["HostConfig"]["CapDrop"] == ["ALL"]
    token_hash = [line for line in state["Config"]["Env"] if line.startswith("EDGERUN_TOKEN")]
    assert len(token_hash) == 1
    assert token_hash[0].startswith("EDGERUN_TOKEN_SHA256=")
    for command in ("touch /opt/x", "command -v gcc", "command -v curl"):
        assert not _works("docker", "exec", container, "sh", "-c", command)
    assert engine("exec", container, "sh", "-c", "echo there > /data/x && tar -cf - /data/x | tar -tf -").strip()

    os.kill(int(state["State"]["Pid"]), 9)
    wait_for(lambda: _healthy_since(container) not in (None, state["State"]["StartedAt"]), timeout_s=120)
    again = f". {saved}\nclient classify image_model/embedded/samples/digit-4.png --host box\n{last}"
    assert "1     0.9961  4" in _bash(again, environment)
    assert not engine("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")


def test_a_runtime_is_passed_on_by_compose(environment: dict[str, str]) -> None:
    """EDGERUN_RUNTIME names it, without it the engine's own is left; EDGERUN_DEVICE is the agent's."""
    asked = {"EDGERUN_RUNTIME": "nvidia", "EDGERUN_DEVICE": "AUTO", "EDGERUN_TOKEN_SHA256": "0" * 64}
    agent = _agent_of(environment | asked)
    assert (agent["runtime"], agent["environment"]["EDGERUN_DEVICE"]) == ("nvidia", "AUTO")
    assert "runtime" not in _agent_of(environment | asked | {"EDGERUN_RUNTIME": ""})


def _agent_of(environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    agent: dict[str, Any] = json.loads(done.stdout)["services"]["agent"]
    return agent


def test_a_base_without_python_takes_what_is_supplied(environment: dict[str, str], tmp_path: Path) -> None:
    """As for a Jetson: a Python that is put into supplied/, and an ONNX Runtime of another version than ours."""
    for name in (ROOT / ".dockerignore").read_text().split("!")[1:]:
        source, target = ROOT / name.split()[0], tmp_path / name.split()[0]
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    packed = ["docker", "run", "--rm", "--network", "none", BASE, "sh", "-c", PACK_PYTHON]
    with (tmp_path / "supplied" / "python.tar.gz").open("wb") as archive:
        subprocess.run(packed, stdout=archive, check=True)
    fetch = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(tmp_path / "supplied")]
    subprocess.run([sys.executable, *fetch, OTHER_ONNX], check=True, capture_output=True)
    (wheel,) = (tmp_path / "supplied").glob("*.whl")
    bare = f"FROM {BASE}\nRUN rm -rf /usr/local/bin/* /usr/local/lib/*python* /usr/bin/python3* /usr/lib/python3*\n"
    build = ["docker", "build", "--network", "host", "--quiet"]
    images = ["edgerun-test-bare", "edgerun-test-supplied"]
    try:
        subprocess.run([*build, "--tag", images[0], "-"], input=bare.encode(), check=True)
        given = {"BASE": images[0], "PYTHON": "supplied/python.tar.gz", "WHEELS": f"supplied/{wheel.name}"}
        options = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
        subprocess.run([*build, "--tag", images[1], *options, str(tmp_path)], check=True, timeout=600)
        look = "import onnxruntime, server, sys; print(sys.base_prefix, onnxruntime.__version__)"
        told = engine("run", "--rm", "--network", "none", images[1], "python", "-c", look)
        assert told.split() == ["/opt/python", OTHER_ONNX.split("==")[1]]
    finally:
        subprocess.run(["docker", "rmi", "--force", *images], capture_output=True, check=False)


def test_the_compose_file_asks_for_the_token() -> None:
    """Without a token's hash nothing starts, and the line says what to set."""
    settings = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["agent"]
    assert ":?" in settings["environment"]["EDGERUN_TOKEN_SHA256"]


def _bash(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", f"set -eu\n. .venv/bin/activate\n{code}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _healthy_since(container: str) -> str | None:
    state = json.loads(engine("inspect", container))[0]["State"]
    return str(state["StartedAt"]) if state["Running"] and state["Health"]["Status"] == "healthy" else None

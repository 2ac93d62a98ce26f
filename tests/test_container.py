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
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.agents import wait_for
from tests.home import Home
from tests.test_docs import BLOCK, README, ROOT

pytestmark = pytest.mark.slow

PROJECT = "edgerun-test"


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

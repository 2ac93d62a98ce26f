"""Real agents on loopback for tests: the `server` command as a child process on a free port."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from client.sdk.hosts import Host
from client.sdk.trust import tls_context
from contract.paths import TLS_SERVER_NAME
from server.workers.starting import TEMPLATE_NAME, WORKER_NAME

START_TIMEOUT_S = 90.0
TOKEN = "a token that only tests use"


@dataclass
class RunningAgent:
    """An agent, its process, and how to reach it."""

    process: subprocess.Popen[bytes]
    data: Path
    host: Host
    log_path: Path

    @property
    def url(self) -> str:
        """Its address."""
        return self.host.url

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, for bare connections."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def http(self, **settings: object) -> httpx.Client:
        """A plain HTTP client for it that sends the token."""
        headers = {"Authorization": f"Bearer {self.host.token}"} if self.host.token else {}
        verify = tls_context(self.host) or False
        return httpx.Client(base_url=self.url, headers=headers, verify=verify, timeout=60, trust_env=False, **settings)  # type: ignore[arg-type]

    def get(self, path: str) -> httpx.Response:
        """One GET."""
        with self.http() as http:
            return http.get(path, extensions={"sni_hostname": TLS_SERVER_NAME})

    def post(self, path: str, content: bytes, **arguments: object) -> httpx.Response:
        """One POST of a body."""
        with self.http() as http:
            return http.post(path, content=content, extensions={"sni_hostname": TLS_SERVER_NAME}, **arguments)  # type: ignore[arg-type]

    def workers(self) -> list[int]:
        """Process ids of its workers, children that go by a worker's name."""
        return [pid for pid in children(self.process.pid) if process_name(pid) == WORKER_NAME]

    def templates(self) -> list[int]:
        """Process ids of the processes that workers are forked from."""
        return [pid for pid in children(self.process.pid) if process_name(pid) == TEMPLATE_NAME]

    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text(errors="replace")


@contextmanager
def running_agent(
    data: Path,
    *options: str,
    token: str | None = None,
    variables: Mapping[str, str] | None = None,
    command: Sequence[str] = (str(Path(sys.executable).with_name("server")),),
) -> Iterator[RunningAgent]:
    """An agent with `server` options on a free port, ready to answer; ended when the block is left."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGERUN_")}
    environment |= variables or {}
    if token is not None:
        environment["EDGERUN_TOKEN_SHA256"] = hashlib.sha256(token.encode()).hexdigest()
    data.mkdir(parents=True, exist_ok=True)
    log_path = data / "test.log"
    standard = ["--port", "0", "--host", "127.0.0.1", "--data", str(data)]
    with log_path.open("wb") as log:
        process = subprocess.Popen([*command, *standard, *options], env=environment, stdout=log, stderr=log)
    try:
        agent = _wait_until_ready(process, data, log_path, token)
        yield agent
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)


def _wait_until_ready(process: subprocess.Popen[bytes], data: Path, log_path: Path, token: str | None) -> RunningAgent:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url = json.loads((data / "agent.json").read_text())["url"]
            pem = (data / "tls" / "cert.pem").read_text() if url.startswith("https") else None
            agent = RunningAgent(process, data, Host("test", url, certificate=pem, token=token), log_path)
            if agent.get("/health/ready").status_code == 200:
                return agent
        except (OSError, ValueError, httpx.TransportError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"the agent did not start: {log_path.read_text(errors='replace')}")


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                status = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(status[1]) == pid and status[0] != "Z":
                found.append(int(folder.name))
    return found


def command_line(pid: int) -> str:
    """A process's command line, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def process_name(pid: int) -> str:
    """The name that a process gave itself, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def wait_for(condition: object, timeout_s: float = 60.0) -> None:
    """Wait until a callable returns something true."""
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def environment_of_a_user(folder: Path, **variables: str) -> Mapping[str, str]:
    """An environment in which edgerun keeps everything under one folder and asks no address for models."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("EDGERUN_", "XDG_"))}
    homes = {
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_STATE_HOME": str(folder / "state"),
        "HOME": str(folder),
        "EDGERUN_MODEL_MIRROR": str(folder / "empty-mirror"),
        "NO_COLOR": "1",
    }
    return {**clean, **homes, **variables}

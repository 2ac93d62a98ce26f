"""What the benchmarks share: the supplied model, an agent that holds it, and load from wrk."""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from client.errors import EdgeError
from client.files.library import Library, manifest_of
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from contract.jobs import AnyRequest
from contract.results import AnyResult
from image_model.catalog import PREFERRED_MODEL
from image_model.download import PulledModel
from server.workers.starting import WORKER_NAME

BIN = Path(sys.executable).parent

POST_SCRIPT = """
local file = io.open(os.getenv("BODY"), "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = os.getenv("CONTENT_TYPE")
if os.getenv("HEADER_BYTES") then wrk.headers["Inference-Header-Content-Length"] = os.getenv("HEADER_BYTES") end
file:close()
done = function(summary, latency)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.status + summary.errors.timeout
  io.write(string.format('\\nJSON {"requests": %d, "duration_s": %f, "errors": %d, "p50_ms": %f, "p99_ms": %f}\\n',
    summary.requests, summary.duration / 1e6, errors, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def alternation(doc: str | None) -> argparse.Namespace:
    """How often two sides are measured in turn (`rounds`), and for how long each time (`seconds`)."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    return parser.parse_args()


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests: int
    duration_s: float
    errors: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.duration_s


@dataclass(frozen=True)
class Supplied:
    """The supplied model and its picture on this machine."""

    pulled: PulledModel

    @property
    def model(self) -> Path:
        """The .tflite file."""
        return self.pulled.path(self.pulled.entry.model)

    @property
    def image(self) -> Path:
        """parrot.jpg: 512 x 929 pixels, 597 kB."""
        return self.pulled.path(self.pulled.entry.samples[0])


def supplied() -> Supplied:
    """Fetch the model if need be; ends the program with a line when it cannot be had."""
    try:
        return Supplied(Library().pull(PREFERRED_MODEL))
    except EdgeError as error:
        sys.exit(f"{error}")


@dataclass(frozen=True)
class BenchmarkedAgent:
    """An agent on loopback."""

    host: Host
    process: subprocess.Popen[bytes]
    started: float
    """`time.monotonic` just before it was started."""
    data: Path
    """Its data folder."""

    @property
    def grpc_port(self) -> int:
        """Where it listens for gRPC, if it was started to."""
        return int(json.loads((self.data / "agent.json").read_text())["grpc_port"])


@contextmanager
def agent(
    *options: str,
    data: Path | None = None,
    command: Sequence[str] = (str(BIN / "server"),),
    token: str | None = None,
) -> Iterator[BenchmarkedAgent]:
    """A real agent on a free loopback port, ready to answer; with a token it has TLS unless `--tls off` is given."""
    with tempfile.TemporaryDirectory() as folder:
        home = data or Path(folder)
        (home / "agent.json").unlink(missing_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGERUN_")}
        if token is not None:
            environment["EDGERUN_TOKEN_SHA256"] = hashlib.sha256(token.encode()).hexdigest()
        started = time.monotonic()
        arguments = ["--host", "127.0.0.1", "--port", "0", "--data", str(home), *options]
        process = subprocess.Popen([*command, *arguments], env=environment, stderr=subprocess.DEVNULL)
        try:
            yield BenchmarkedAgent(_ready(home, token), process, started, home)
        finally:
            process.terminate()
            process.wait()


def _ready(home: Path, token: str | None) -> Host:
    while True:
        try:
            url = json.loads((home / "agent.json").read_text())["url"]
            pem = (home / "tls" / "cert.pem").read_text() if url.startswith("https") else None
            host = Host("agent", url, certificate=pem, token=token)
            with EdgeClient(host, retries=0) as client:
                client.ready()
            return host
        except (OSError, ValueError, EdgeError):
            time.sleep(0.002)


def workers_of(agent_pid: int) -> list[int]:
    """Process ids of the workers of an agent that are up."""
    children = Path(f"/proc/{agent_pid}/task/{agent_pid}/children").read_text().split()
    return [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == WORKER_NAME]


def push(host: Host, model: Supplied) -> None:
    """Put the supplied model on the agent, where it becomes the default."""
    manifest, files = manifest_of(model.pulled)
    with EdgeClient(host) as client:
        client.push_model(model.pulled.entry.name, manifest, files)


@contextmanager
def agent_with_model() -> Iterator[tuple[BenchmarkedAgent, Supplied]]:
    """A real agent that holds the supplied model."""
    model = supplied()
    with agent() as running:
        push(running.host, model)
        yield running, model


def wait_for_job(host: Host, request: AnyRequest) -> AnyResult:
    """Submit a job, wait for its end and give its result."""
    with EdgeClient(host) as client:
        job = client.submit(request)
        while not job.state.ended:
            time.sleep(0.2)
            job = client.job(job.id)
        return client.job_result(job.id)


def require_wrk() -> None:
    """Install wrk where that is possible; ends the program with a line otherwise."""
    if shutil.which("wrk"):
        return
    install = ["apt-get", "-qq", "-y", "install", "wrk"]
    if os.geteuid() == 0 and shutil.which("apt-get") and subprocess.run(install, check=False).returncode == 0:
        return
    sys.exit("wrk makes the load; on Debian and Ubuntu: sudo apt-get install wrk")


def load(host: Host, image: Path, clients: int, seconds: float, query: str = "") -> Load:
    """Post a picture from so many concurrent clients for so long."""
    return post_load(f"{host.url}/v1/classify{query}", image, clients, seconds, CONTENT_TYPE="image/jpeg")


def post_load(url: str, body: Path, clients: int, seconds: float, **variables: str) -> Load:
    """Post a file from so many concurrent clients for so long; `variables` are those of `POST_SCRIPT`."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(POST_SCRIPT)
        script.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "30s", "-s", script.name]
        environment = {**os.environ, "BODY": str(body), **variables}
        done = subprocess.run([*command, url], env=environment, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("JSON "))
    return Load(**json.loads(line.removeprefix("JSON ")))


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their contents."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines)

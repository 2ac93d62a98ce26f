"""The `server` command: run one agent until it is told to stop."""

import argparse
import asyncio
import contextlib
import fcntl
import importlib.util
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from server import __version__
from server.logs import set_up_logging
from server.processes.confinement import adopt_orphans, forbid_new_privileges, keep_freed_memory, yield_to_workers
from server.settings import Settings, SettingsError
from server.storage.atomic import move_aside, write_atomically
from server.storage.permissions import PRIVATE_UMASK, make_private

if TYPE_CHECKING:
    from server.agent import Agent

log = logging.getLogger(__name__)

EXIT_USAGE = 2
EXIT_CANNOT_START = 3
GRACEFUL_STOP_S = 5
"""Requests under way get so long to end when the agent stops: `docker stop` kills after 10 s."""

AGENT_FILE = "agent.json"
PROGRAM = "server"
WRITE_MODEL = "write-model"

EXAMPLES = """examples:
  server                                   an agent for this machine's own programs on http://127.0.0.1:8080
  server --port 0 --workers 1 --threads 2  any free port, one worker, two threads an inference
  server --models mine=model.tflite        with a model of this machine, tried as if it had been uploaded
  EDGERUN_TOKEN_SHA256=... server          on all interfaces, with TLS, for who knows the token
  server write-model resnet20-int8 FILE    no agent: a model with synthetic weights as a file, for other tools

Every option has an environment variable: --max-image-bytes is EDGERUN_MAX_IMAGE_BYTES.
`provision up --on local --name edge1` starts an agent in the background and does all this for you."""


def main(argv: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Run the agent; returns the exit code: 0 stopped as asked, 2 wrong settings, 3 could not start."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] == WRITE_MODEL:
        return _write_model(words[1:], program)
    try:
        settings = _parse(words, program)
    except SettingsError as error:
        print(f"server: {error}", file=sys.stderr)
        return EXIT_USAGE
    os.umask(PRIVATE_UMASK)
    try:
        set_up_logging(settings)
        with _only_agent_of(settings.data), _listen(settings) as listener:
            return _run(settings, listener)
    except OSError as error:
        print(f"server: {error}", file=sys.stderr)
        return EXIT_CANNOT_START


def _write_model(argv: Sequence[str], program: str) -> int:
    from server.synthesis import SYNTHETIC_MODELS

    parser = argparse.ArgumentParser(
        prog=f"{program} {WRITE_MODEL}",
        description="Write a TFLite model of a known architecture with synthetic weights.",
    )
    parser.add_argument("name", choices=SYNTHETIC_MODELS)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args(argv)

    from server.synthesis.models import synthetic_model

    try:
        arguments.file.write_bytes(synthetic_model(arguments.name))
    except OSError as error:
        print(f"server: {arguments.file}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _parse(argv: Sequence[str], program: str = PROGRAM) -> Settings:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Run the edgerun agent on this device.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edgerun {__version__}")
    for spec in fields(Settings):
        if spec.name != "token_sha256":  # a secret's hash belongs into the environment, not into process lists
            parser.add_argument("--" + spec.name.replace("_", "-"), metavar="VALUE", help=spec.metadata["help"])
    return Settings.from_env(os.environ, **vars(parser.parse_args(argv)))


@contextlib.contextmanager
def _only_agent_of(data: Path) -> Iterator[None]:
    """Hold the data folder's lock: two agents on one folder would undo each other's work."""
    make_private(data)
    path = data / "agent.lock"
    if path.is_dir():
        move_aside(path)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another agent runs on {data}: stop it, or choose another folder with --data") from None
        yield


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            detail = f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}"
            raise OSError(f"{detail}; --port 0 takes any free port") from error
        yield listener


def _check_models(settings: Settings) -> None:
    """See that there are files where the settings name models; raises OSError."""
    from contract.model_files import NoModelFiles
    from server.models.provided import model_at

    for _, path in settings.models:
        try:
            model_at(path)
        except NoModelFiles as fault:
            raise OSError(f"{fault}: {fault.hint}") from fault


def _run(settings: Settings, listener: socket.socket) -> int:
    from server.errors import AgentError
    from server.http.accepting import raise_descriptor_limit
    from server.processes.children import mark_children
    from server.workers.pools import Pools

    os.environ.setdefault("XDG_CACHE_HOME", str(settings.data / "cache"))  # where libraries leave things unasked
    mark_children()
    adopt_orphans()
    forbid_new_privileges()
    keep_freed_memory()
    raise_descriptor_limit()
    if settings.grpc_port is not None and importlib.util.find_spec("grpc") is None:
        raise OSError("--grpc-port needs the extra `grpc`, which is not installed: pip install 'edgerun[grpc]'")
    if settings.models:
        _check_models(settings)
    try:
        pools = Pools(settings)
        pools.require(settings.runtime)
    except AgentError as error:
        raise OSError(f"{error.detail}; {error.hint}") from error
    pools.default.spawn_first()  # it imports its runtime while this process imports the web framework
    if os.geteuid() == 0 and settings.token_sha256:
        log.warning("running as root: prefer a user of its own where you can choose (the image has one)")
    if os.geteuid() == 0 and settings.allow_commands:
        log.warning("programs of jobs run as root too, and can read this agent's key: see docs/security.md")

    from server.agent import Agent
    from server.http.tls import ensure_certificate

    certificate = ensure_certificate(settings.data / "tls") if settings.serves_tls else None
    _serve(Agent(settings, pools, certificate), listener)
    return 0


def _serve(agent: "Agent", listener: socket.socket) -> None:
    import uvicorn
    from uvicorn.config import STARTUP_FAILURE

    from server.app import create_app
    from server.http.accepting import AcceptedConnection, Acceptor, connections_possible
    from server.http.connections import GuardedProtocol, longest_idle, watch_connections
    from server.http.exchange import Reader

    settings, certificate = agent.settings, agent.certificate

    class AgentServer(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await self.lifespan.startup()
            if self.lifespan.should_exit:
                sys.exit(STARTUP_FAILURE)
            try:
                await agent.listen_for_grpc()
            except OSError as error:
                print(f"server: {error}", file=sys.stderr)
                await self.lifespan.shutdown()
                sys.exit(EXIT_CANNOT_START)
            self.servers = []  # uvicorn's own would accept without a limit
            connections = self.server_state.connections
            self._acceptor = Acceptor(
                listener,
                self._protocol,
                connections_possible(settings.connections),
                config.ssl,
                lambda: longest_idle(connections),
            )
            self._acceptor.start()
            self.started = True
            self._watch = asyncio.create_task(watch_connections(connections, agent.pools.admission.cut_off_late))
            _announce(agent, listener)

        def _protocol(self, connection: AcceptedConnection) -> Reader:
            return GuardedProtocol(self._acceptor, connection, config, self.server_state, self.lifespan.state).reader

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            log.info("stopping: what runs is finished, what is new is refused")
            with contextlib.suppress(OSError):
                (settings.data / AGENT_FILE).unlink()
            self._acceptor.close()
            await agent.drain()
            await super().shutdown(sockets)
            self._watch.cancel()

    config = uvicorn.Config(
        create_app(agent),
        loop="uvloop",
        http=GuardedProtocol,
        ws="none",
        log_config=None,
        access_log=settings.access_log,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
        ssl_certfile=str(certificate.certificate_path) if certificate else None,
        ssl_keyfile=str(certificate.key_path) if certificate else None,
    )
    yield_to_workers()
    # uvicorn raises the signal that stopped it once more when it is done; then there is nothing left to do.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with contextlib.suppress(KeyboardInterrupt):
        AgentServer(config).run(sockets=[listener])


def _announce(agent: "Agent", listener: socket.socket) -> None:
    """Say where the agent listens: in the log, and in a file for whoever started it."""
    from server.errors import AgentError

    settings = agent.settings
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.serves_tls else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    protection = "token required" if settings.token_sha256 else "no token: this machine only"
    log.info("edgerun %s listens on %s (%s)", __version__, url, protection)
    if agent.grpc_port is not None:
        log.info("gRPC on port %d", agent.grpc_port)
    document = {
        "pid": os.getpid(),
        "url": url,
        "port": port,
        "grpc_port": agent.grpc_port,
        "version": __version__,
        "certificate_sha256": agent.certificate.sha256 if agent.certificate else None,
        "probe_secret": agent.probe_secret,
    }
    try:
        write_atomically(settings.data / AGENT_FILE, json.dumps(document).encode())
    except (AgentError, OSError) as error:  # a full disk, on which the agent answers nevertheless
        log.error("whoever started the agent cannot find it by %s: %s", settings.data / AGENT_FILE, error)


if __name__ == "__main__":
    sys.exit(main())

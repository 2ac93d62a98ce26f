"""One SSH connection, used without asyncio: programs, their output, and errors that say what to do."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import asyncssh

from client.errors import NotTrusted, Unreachable
from provisioning.errors import AccessDenied, ProvisioningError
from provisioning.programs import SIGNALLED

T = TypeVar("T")

CONNECT_TIMEOUT_S = 20.0
KEEPALIVE_S = 15
CHUNK_BYTES = 256 * 1024
DEFAULT_PORT = 22


@dataclass(frozen=True)
class Account:
    """Where to log in, and what proves who is who."""

    place: str
    """`user@host:port`; user and port as ssh itself would choose them when they are missing."""
    key: str | None = None
    known_hosts: str | None = None

    @property
    def parts(self) -> tuple[str | None, str, int | None]:
        """User, host and port; raises ProvisioningError."""
        try:
            split = urlsplit(f"ssh://{self.place}")
            host, port = split.hostname, split.port
        except ValueError:
            host = port = None
        if not host or split.path:
            raise ProvisioningError(f"{self.place!r} is no place to log in", hint="write --on ssh://USER@HOST[:PORT]")
        return split.username, host, port


class Connection:
    """A logged-in connection; close it by leaving `connected`."""

    def __init__(self, runner: asyncio.Runner, ssh: asyncssh.SSHClientConnection, host: str) -> None:
        self._runner = runner
        self._ssh = ssh
        self.host = host

    @property
    def address(self) -> str:
        """Where the device is reached from here: by the name that was given, or by number when only ssh knows it."""
        try:
            socket.getaddrinfo(self.host, None)
        except OSError:
            return str(self._ssh.get_extra_info("peername")[0])
        return self.host

    def run(self, command: str, stdin: BinaryIO | None, out: BinaryIO, err: BinaryIO) -> int:
        """Run a command line of the user's shell; returns its exit code. Raises Unreachable when the line is cut."""
        return _finish(self._runner, self._run(command, stdin, out, err), self.host)

    async def _run(self, command: str, stdin: BinaryIO | None, out: BinaryIO, err: BinaryIO) -> int:
        process = await self._ssh.create_process(command, encoding=None)
        try:
            await asyncio.gather(_feed(stdin, process.stdin), _drain(process.stdout, out), _drain(process.stderr, err))
            done = await process.wait()
        finally:
            process.close()  # and no waiting: sshd keeps the channel until the program has ended
        if done.returncode is None:
            raise Unreachable(f"the connection to {self.host} ended while a program ran there")
        return done.returncode if done.returncode >= 0 else SIGNALLED - done.returncode


@contextlib.contextmanager
def connected(account: Account) -> Iterator[Connection]:
    """Log in; raises Unreachable, NotTrusted, AccessDenied and ProvisioningError."""
    _, host, _ = account.parts
    with _a_cut_line_said_once(), asyncio.Runner() as runner:
        ssh = _finish(runner, _connect(account), host)
        try:
            yield Connection(runner, ssh, host)
        finally:
            ssh.close()
            runner.run(ssh.wait_closed())


async def _connect(account: Account) -> asyncssh.SSHClientConnection:
    user, host, port = account.parts
    chosen: dict[str, Any] = {"username": user, "port": port, "known_hosts": account.known_hosts}
    if account.key:
        chosen["client_keys"] = [account.key]
    options = {name: value for name, value in chosen.items() if value is not None}
    try:
        return await asyncssh.connect(
            host, connect_timeout=CONNECT_TIMEOUT_S, keepalive_interval=KEEPALIVE_S, **options
        )
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
        raise _not_trusted(account, error) from error
    except asyncssh.PermissionDenied as error:
        hint = "name the key with --ssh-key, or add it to the device with ssh-copy-id"
        raise AccessDenied(f"{account.place} does not accept any key of ours: {error.reason}", hint=hint) from error
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        hint = "load a key with a passphrase into your ssh-agent with ssh-add, and leave --ssh-key out"
        raise AccessDenied(f"the key {account.key} cannot be used: {error}", hint=hint) from error
    except (asyncssh.ConfigParseError, FileNotFoundError) as error:
        raise ProvisioningError(f"SSH cannot be set up: {error}") from error


def _not_trusted(account: Account, error: Exception) -> NotTrusted:
    _, host, port = account.parts
    path = account.known_hosts or str(Path("~/.ssh/known_hosts").expanduser())
    known = asyncssh.match_known_hosts(path, host, "", port or DEFAULT_PORT)[0] if Path(path).exists() else ()
    name = f"[{host}]:{port}" if port not in (None, DEFAULT_PORT) else host
    if known:
        hint = f"if the device was set up anew: ssh-keygen -R '{name}' -f {path}, then look at its new key"
        return NotTrusted(f"{name} shows another host key than the one in {path}; nothing was sent", hint=hint)
    scan = f"ssh-keyscan{f' -p {port}' if name != host else ''} {host} >> {path}"
    return NotTrusted(f"the host key of {name} is not in {path} ({error})", hint=f"if you trust this network: {scan}")


async def _feed(stdin: BinaryIO | None, target: asyncssh.SSHWriter[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionError):  # a program may end without reading all
        while stdin is not None and (chunk := stdin.read(CHUNK_BYTES)):
            target.write(chunk)
            await target.drain()
        target.write_eof()


async def _drain(source: asyncssh.SSHReader[bytes], target: BinaryIO) -> None:
    while chunk := await _read(source):
        target.write(chunk)
        target.flush()


async def _read(source: asyncssh.SSHReader[bytes]) -> bytes:
    """What came; nothing when the line was cut, which then shows as a program without an exit code."""
    try:
        return await source.read(CHUNK_BYTES)
    except ConnectionError:  # a BrokenPipeError of the socket, which is not one of our own output's reader
        return b""


@contextlib.contextmanager
def _a_cut_line_said_once() -> Iterator[None]:
    """Keep asyncio from a line for every packet of an upload that is dropped: the one error says it."""
    logger = logging.getLogger("asyncio")
    logger.addFilter(_is_no_lost_packet)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_lost_packet)


def _is_no_lost_packet(record: logging.LogRecord) -> bool:
    return record.msg != "socket.send() raised exception."


def _finish(runner: asyncio.Runner, work: Coroutine[Any, Any, T], host: str) -> T:
    try:
        return runner.run(work)
    except TimeoutError as error:
        raise Unreachable(f"{host} did not answer within {CONNECT_TIMEOUT_S:.0f} s") from error
    except BrokenPipeError:  # who reads our output left
        raise
    except asyncssh.Error as error:
        raise Unreachable(f"the connection to {host} failed: {error.reason}") from error
    except OSError as error:
        hint = "is it on, and is this its address and port?"
        raise Unreachable(f"{host} cannot be reached: {error.strerror or error}", hint=hint) from error

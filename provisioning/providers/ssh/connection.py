"""One SSH connection, used without asyncio: programs and their output."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import asyncssh

from client.errors import Unreachable
from client.sdk.account import Account
from client.sdk.ssh import Login, log_in, lost, require_forwarding
from client.sdk.tunnel import LOOPBACK
from provisioning.programs import SIGNALLED

T = TypeVar("T")

CHUNK_BYTES = 256 * 1024
SOME_PORT = 9
"""Nothing need listen there to see whether a tunnel would be let through."""


class Connection:
    """A logged-in connection; close it by leaving `connected`."""

    def __init__(self, runner: asyncio.Runner, login: Login, host: str) -> None:
        self._runner = runner
        self._login = login
        self.host = host
        self.through = login.through
        """What the connection goes through, in words; None where the device is reached directly."""
        self.complaint = ""
        """The last one of a program that was joined to a socket."""

    @property
    def address(self) -> str:
        """Where the device is: by the name that was given, or by number when only ssh knows it."""
        try:
            socket.getaddrinfo(self.host, None)
        except OSError:
            peer = self._login.ssh.get_extra_info("peername")
            return str(peer[0]) if peer else self.host
        return self.host

    def require_forwarding(self) -> None:
        """Raise EdgeError where the device's SSH lets no tunnels through."""
        self._runner.run(require_forwarding(self._login, LOOPBACK, SOME_PORT))

    def run(self, command: str, stdin: BinaryIO | None, out: BinaryIO, err: BinaryIO) -> int:
        """Run a command line of the user's shell; returns its exit code. Raises Unreachable when the line is cut."""
        return _finish(self._runner, self._run(command, stdin, out, err), self.host)

    def offer(self, path: Path, command: str, offered: Callable[[Callable[[], object]], None]) -> None:
        """Join whatever connects to a new socket at `path` to a program of its own on the other side.

        Once there is a socket, calls `offered` with what ends all this from another thread.
        """
        _finish(self._runner, self._offer(path, command, offered), self.host)

    async def _offer(self, path: Path, command: str, offered: Callable[[Callable[[], object]], None]) -> None:
        ended, loop, joined = asyncio.Event(), asyncio.get_running_loop(), set()

        def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = loop.create_task(self._join(command, reader, writer))
            joined.add(task)
            task.add_done_callback(joined.discard)

        server = await asyncio.start_unix_server(join, path)
        try:
            offered(lambda: loop.call_soon_threadsafe(ended.set))
            await ended.wait()
        finally:
            server.close()
            for task in joined:
                task.cancel()
            await asyncio.gather(*joined, return_exceptions=True)

    async def _join(self, command: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._login.ssh.create_process(command, encoding=None) as process:
                ways = [asyncio.create_task(_pass_on(reader, process.stdin))]
                ways.append(asyncio.create_task(_pass_on(process.stdout, writer)))
                _, unfinished = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in unfinished:  # whoever leaves first leaves for both: sshd allows few programs at a time
                    way.cancel()
                if ways[1].done() and (complaint := await process.stderr.read()):
                    self.complaint = complaint.decode(errors="replace").strip()
                process.close()
        except (asyncssh.Error, OSError) as error:
            self.complaint = str(error)
        finally:
            writer.close()

    async def _run(self, command: str, stdin: BinaryIO | None, out: BinaryIO, err: BinaryIO) -> int:
        process = await self._login.ssh.create_process(command, encoding=None)
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
    """Log in; raises EdgeError, of which Unreachable, NotTrusted and AccessDenied name the host that is meant."""
    _, host, _ = account.parts
    with asyncio.Runner() as runner:
        login = runner.run(log_in(account))
        try:
            yield Connection(runner, login, host)
        finally:
            runner.run(login.close())


async def _pass_on(
    source: asyncio.StreamReader | asyncssh.SSHReader[bytes], target: asyncio.StreamWriter | asyncssh.SSHWriter[bytes]
) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(CHUNK_BYTES):
            target.write(chunk)
            await target.drain()


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


def _finish(runner: asyncio.Runner, work: Coroutine[Any, Any, T], host: str) -> T:
    try:
        return runner.run(work)
    except BrokenPipeError:  # who reads our output left
        raise
    except (asyncssh.Error, OSError) as error:
        raise lost(host, error) from error

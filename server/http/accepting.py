"""Connections from the moment they are accepted: counted before any handshake, with caps, and room for newcomers.

Whoever has authenticated is kept; of the others the oldest makes room. So nobody who only opens connections keeps
anybody else out.
"""

import asyncio
import contextlib
import errno
import logging
import resource
import socket
import ssl
import time
from collections.abc import Callable, Iterable

from server.http.exchange import Reader, Tls

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 10
GOODBYE_TIMEOUT_S = 10
"""Longest time for the last bytes of a reply and the end of TLS once a connection is to be closed."""
OF_ONE_ADDRESS_MAX = 64
"""Connections of one address that have not authenticated, the newest apart."""
NEWCOMER_S = 3.0
"""So long a connection may take to authenticate before it counts for its address: a class behind one address may
begin at the same moment."""
DESCRIPTORS_WANTED = 8192
DESCRIPTORS_RESERVED = 256
"""Descriptors that connections leave to jobs, workers and files."""
CONNECTIONS_MIN = 8
UNAUTHENTICATED_SHARE = 4
"""One connection in so many is for those who have not authenticated, at least."""
ACCEPTED_AT_ONCE = 16
BACKLOG = 2048
UNSENT_MAX_BYTES = 128 * 1024
"""What the kernel takes of an answer beyond what is on its way: with its own limit, a crowd that never reads would be
given megabytes each. It does not slow down who reads."""
NO_ROOM_PAUSE_S = 0.1
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class AcceptedConnection:
    """One accepted connection, whether its TLS handshake is done or not."""

    __slots__ = ("accepted_at", "address", "authenticated", "protocol", "socket", "transport")

    def __init__(self, accepted: socket.socket, address: str) -> None:
        self.socket = accepted
        self.address = address
        self.accepted_at = time.monotonic()
        self.authenticated = False
        self.transport: asyncio.Transport | None = None
        """Set when the handshake is done."""

    def abort(self) -> None:
        """End it at once, whatever it is doing."""
        if self.transport is not None:
            self.transport.abort()
            return
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


ReaderFactory = Callable[[AcceptedConnection], Reader]


class Acceptor:
    """Accepts connections of one listening socket. All methods belong to the event loop's thread."""

    def __init__(
        self,
        listener: socket.socket,
        factory: ReaderFactory,
        connections_max: int,
        tls: ssl.SSLContext | None,
        idle: Callable[[], Iterable[AcceptedConnection]],
    ) -> None:
        """`idle` gives the authenticated connections that wait for a next request, those longest idle first."""
        self._listener = listener
        self._factory = factory
        self._max = connections_max
        self._authenticated_max = connections_max - max(1, connections_max // UNAUTHENTICATED_SHARE)
        self._tls = tls
        self._idle = idle
        self._unauthenticated: dict[str, dict[AcceptedConnection, None]] = {}
        """Connections that have not authenticated, by address, oldest first."""
        self._unauthenticated_count = 0
        self._authenticated = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._complained_at = 0.0

    def start(self) -> None:
        """Begin to accept."""
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._listener, self._accept)
        self._closed = False

    def close(self) -> None:
        """Accept no more, and end the connections that have not even authenticated."""
        self._closed = True
        self._loop.remove_reader(self._listener)
        for unauthenticated in list(self._unauthenticated.values()):
            for connection in list(unauthenticated):
                if connection.transport is None:
                    connection.abort()

    def authenticated(self, connection: AcceptedConnection) -> bool:
        """A connection brought a token: from now on it makes room for nobody, unless too many did.

        False when it stays among the unauthenticated, because all others are at work.
        """
        if connection.authenticated or connection not in self._unauthenticated.get(connection.address, ()):
            return connection.authenticated
        if self._authenticated >= self._authenticated_max and not self._end_idle():
            return False
        self._forget_stranger(connection)
        connection.authenticated = True
        self._authenticated += 1
        return True

    def lost(self, connection: AcceptedConnection) -> None:
        """A connection is closed, or as good as closed."""
        if connection.authenticated:
            connection.authenticated = False
            self._authenticated -= 1
        else:
            self._forget_stranger(connection)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._take(accepted, address[0])

    def _take(self, accepted: socket.socket, address: str) -> None:
        connection = AcceptedConnection(accepted, _network(address))
        if self._unauthenticated_count + self._authenticated >= self._max and not (
            self._end_unauthenticated() or self._end_idle()
        ):
            accepted.close()  # everybody is at work for who has authenticated
            return
        self._end_surplus(connection.address)
        self._unauthenticated.setdefault(connection.address, {})[connection] = None
        self._unauthenticated_count += 1
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_MAX_BYTES)
        task = self._loop.create_task(self._open(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, connection: AcceptedConnection) -> None:
        reader = self._factory(connection)
        protocol: asyncio.BufferedProtocol = reader
        try:
            if self._tls is not None:
                done = self._loop.create_future()
                protocol = Tls(
                    self._loop,
                    reader,
                    self._tls,
                    done,
                    handshake_timeout_s=HANDSHAKE_TIMEOUT_S,
                    goodbye_timeout_s=GOODBYE_TIMEOUT_S,
                )
            await self._loop.connect_accepted_socket(lambda: protocol, connection.socket)
            if self._tls is not None:
                await done
        except (OSError, EOFError) as error:
            log.debug("no handshake with %s: %s", connection.address, error)
            self.lost(connection)

    def _end_surplus(self, address: str) -> None:
        """End the oldest unauthenticated connections of one address beyond its share."""
        unauthenticated = self._unauthenticated.get(address)
        if unauthenticated and len(unauthenticated) >= OF_ONE_ADDRESS_MAX:
            oldest = next(iter(unauthenticated))
            if time.monotonic() - oldest.accepted_at > NEWCOMER_S:
                self._end(oldest)

    def _end_unauthenticated(self) -> bool:
        """End the oldest connection of the address that has the most without authentication."""
        if not self._unauthenticated:
            return False
        most = max(self._unauthenticated, key=lambda address: len(self._unauthenticated[address]))
        self._end(next(iter(self._unauthenticated[most])))
        return True

    def _end_idle(self) -> bool:
        """End the connection that has been idle longest."""
        for connection in self._idle():
            self._end(connection)
            return True
        return False

    def _end(self, connection: AcceptedConnection) -> None:
        self.lost(connection)
        connection.abort()

    def _forget_stranger(self, connection: AcceptedConnection) -> None:
        unauthenticated = self._unauthenticated.get(connection.address, {})
        if connection in unauthenticated:
            del unauthenticated[connection]
            self._unauthenticated_count -= 1
            if not unauthenticated:
                del self._unauthenticated[connection.address]

    def _pause(self, error: OSError) -> None:
        """Let the kernel keep newcomers for a moment: trying again at once would take a whole core."""
        if error.errno in OUT_OF_DESCRIPTORS and not self._end_unauthenticated():
            self._end_idle()
        now = time.monotonic()
        if now - self._complained_at > 60:
            self._complained_at = now
            log.warning("a connection could not be accepted: %s", error.strerror)
        self._loop.remove_reader(self._listener)
        self._loop.call_later(NO_ROOM_PAUSE_S, self._resume)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener, self._accept)


def connections_possible(wanted: int) -> int:
    """How many of the wanted connections the limit on descriptors leaves room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft < 0 else max(CONNECTIONS_MIN, min(wanted, soft - DESCRIPTORS_RESERVED))


def raise_descriptor_limit() -> None:
    """Let this process open as many files as it may, up to what it can need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard < 0 else min(hard, DESCRIPTORS_WANTED)
    if 0 <= soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _network(address: str) -> str:
    """Whom an address belongs to: an IPv6 host has a whole /64 for itself."""
    if ":" not in address:
        return address
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    mapped = packed[:12] == bytes(10) + b"\xff\xff"
    return socket.inet_ntop(socket.AF_INET, packed[12:]) if mapped else packed[:8].hex()

"""An agent that means harm, or is badly broken: a bare socket server for each kind of answer that none should give.

`python -m tests.client.hostile_agent` prints the address of each kind and serves until it is interrupted.
"""

import itertools
import json
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from client.sdk.hosts import Host

DRIP_S = 0.05
Answer = Callable[["Wire"], None]

GOOD = b'{"status":"live"}'
JSON = b"application/json"
EVENTS = b"text/event-stream"
PROBLEM = b"application/problem+json"


class Wire:
    """One connection after its request was read."""

    def __init__(self, connection: socket.socket, method: str, path: str) -> None:
        self.connection, self.method, self.path = connection, method, path

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.connection.sendall(data)

    def drip(self, data: bytes) -> None:
        """Send bytes one at a time, for ever."""
        for byte in itertools.cycle(data):
            self.send(bytes([byte]))
            time.sleep(DRIP_S)

    def flood(self, data: bytes) -> None:
        """Send the same again and again, for ever."""
        block = data * max(1, 65536 // len(data))
        while True:
            self.send(block)

    def head(self, status: str = "200 OK", kind: bytes = JSON, *headers: bytes) -> None:
        """Send status and headers."""
        lines = [b"HTTP/1.1 " + status.encode(), b"content-type: " + kind, *headers]
        self.send(b"\r\n".join(lines) + b"\r\n\r\n")

    def whole(self, body: bytes, status: str = "200 OK", kind: bytes = JSON, *headers: bytes) -> None:
        """Send an answer as it should be sent."""
        self.head(status, kind, b"content-length: %d" % len(body), *headers)
        self.send(body)


def body(content: bytes, status: str = "200 OK", kind: bytes = JSON, *headers: bytes) -> Answer:
    """Answer with this, in good form."""
    return lambda wire: wire.whole(content, status, kind, *headers)


def raw(content: bytes) -> Answer:
    """Answer with these bytes."""
    return lambda wire: wire.send(content)


def open_head(wire: Wire, *headers: bytes, kind: bytes = JSON) -> Wire:
    """Begin an answer whose body is still to come."""
    wire.head("200 OK", kind, *headers)
    return wire


def events(content: bytes) -> Answer:
    """A stream of events that says this and then ends."""
    return lambda wire: open_head(wire, b"connection: close", kind=EVENTS).send(content)


def flooded(content: bytes, kind: bytes = JSON, *headers: bytes) -> Answer:
    """A body without end."""
    return lambda wire: open_head(wire, *headers, kind=kind).flood(content)


def flooded_after(begin: bytes, content: bytes) -> Answer:
    """Bytes, and then others without end."""

    def answer(wire: Wire) -> None:
        wire.send(begin)
        wire.flood(content)

    return answer


def dripped(content: bytes, kind: bytes = JSON, *headers: bytes) -> Answer:
    """A body of which a byte comes now and then."""
    return lambda wire: open_head(wire, *headers, kind=kind).drip(content)


def silent(wire: Wire) -> None:
    """Say nothing until the other side leaves."""
    with suppress(TimeoutError):
        while wire.connection.recv(65536):
            pass


def reset(wire: Wire) -> None:
    """Break off in the middle."""
    wire.head("200 OK", JSON, b"content-length: 100")
    wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def problem(**fields: object) -> bytes:
    """An error as agents tell it."""

    return json.dumps(
        {"type": "t", "title": "t", "status": 429, "detail": "d", "code": "queue_full", **fields}
    ).encode()


def bomb() -> bytes:
    """Two megabytes of gzip that would become two gigabytes: blocks that need nothing of each other."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    spaces = b" " * (64 << 20)
    first, other = (packer.compress(spaces) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + other * 31


BOMB = bomb()
JOB_EVENT = (
    b'event: state\ndata: {"id":"another","number":1,"request":{"kind":"command","spec":{"argv":["x"]}},'
    b'"state":"running","created_at":"2026-01-01T00:00:00Z"}\n\n'
)

KINDS: Mapping[str, Answer] = {
    # connections
    "hangs-up": lambda wire: None,
    "silent": silent,
    "reset": reset,
    "not-http": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "http-0.9": raw(GOOD),
    "http-2": raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "http-9": raw(b"HTTP/9.9 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
    # heads
    "head-drips": lambda wire: wire.drip(b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 10_000),
    "headers-endless": flooded_after(b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n"),
    "header-long": flooded_after(b"HTTP/1.1 200 OK\r\nx-a: ", b"b"),
    "cookies": body(b"{}", "200 OK", JSON, *[b"set-cookie: a%d=%s" % (n, b"b" * 50) for n in range(1000)]),
    "continue-endless": lambda wire: wire.flood(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "continue-drips": lambda wire: wire.drip(b"HTTP/1.1 102 Processing\r\n\r\n"),
    "switching": raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    "status-000": raw(b"HTTP/1.1 000 No\r\ncontent-length: 0\r\n\r\n"),
    "status-600": body(GOOD, "600 Odd"),
    "status-999": body(GOOD, "999 Odd"),
    "status-205": body(b"", "205 Reset Content"),
    "redirect-301": body(b"", "301 Moved", JSON, b"location: /v1/info"),
    "redirect-302": body(b"", "302 Found", JSON, b"location: http://127.0.0.1:1/"),
    "redirect-307": body(b"", "307 Temporary Redirect", JSON, b"location: /"),
    "redirect-308": body(b"", "308 Permanent Redirect", JSON, b"location: file:///etc/passwd"),
    "redirect-odd": body(b"", "303 See Other", JSON, b"location: http://[::"),
    "not-modified": raw(b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n"),
    # bodies
    "gzip-bomb": body(BOMB, "200 OK", JSON, b"content-encoding: gzip"),
    "gzip-bad": body(b"no gzip", "200 OK", JSON, b"content-encoding: gzip"),
    "deflate": body(b"x", "200 OK", JSON, b"content-encoding: deflate"),
    "codings": body(GOOD, "200 OK", JSON, b"content-encoding: identity, gzip, gzip"),
    "error-gzip-bomb": body(BOMB, "500 Oops", PROBLEM, b"content-encoding: gzip"),
    "body-drips": dripped(b" ", JSON, b"content-length: 1000000"),
    "body-drips-chunks": dripped(b"1\r\n \r\n", JSON, b"transfer-encoding: chunked"),
    "body-endless": flooded(b" "),
    "body-endless-chunks": flooded(b"4\r\n    \r\n", JSON, b"transfer-encoding: chunked"),
    "body-tiny-chunks": flooded(b"1\r\n \r\n", JSON, b"transfer-encoding: chunked"),
    "length-huge": flooded(b" ", JSON, b"content-length: 1000000000000000"),
    "length-negative": flooded(b" ", JSON, b"content-length: -1"),
    "length-twice": flooded(b" ", JSON, b"content-length: 1", b"content-length: 2"),
    "chunk-huge": lambda wire: open_head(wire, b"transfer-encoding: chunked").send(b"f" * 40 + b"\r\n"),
    "coding-odd": flooded(b" ", JSON, b"transfer-encoding: gzip"),
    "cut-off": lambda wire: open_head(wire, b"content-length: 100").send(b'{"status":'),
    "empty": body(b""),
    "html": body(b"<html>router login</html>", "200 OK", b"text/html"),
    "other-type": body(GOOD, "200 OK", b"application/octet-stream"),
    # documents
    "utf-16": body('{"status":"live"}'.encode("utf-16"), "200 OK", b"application/json; charset=utf-16"),
    "no-utf-8": body(b'{"status":"\xff\xfe"}'),
    "half-character": body(b'{"status":"\\ud800"}'),
    "malformed": body(b'{"status":'),
    "trailing": body(GOOD + GOOD),
    "name-twice": body(b'{"status":"live","status":"live"}'),
    "nan": body(b'{"status":NaN}'),
    "endless-number": body(b'{"status":"live","x":1e999}'),
    "long-integer": body(b'{"status":"live","x":' + b"9" * 5000 + b"}"),
    "nested": body(b"[" * 200_000 + b"]" * 200_000),
    "nested-names": body(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "many-values": body(b"[" + b"[]," * 1_300_000 + b"0]"),
    "many-names": body(b"{" + b",".join(b'"%d":0' % n for n in range(300_000)) + b"}"),
    "wide-text": body(b'{"status":"' + b"a" * 4_000_000 + '\U0001f600"}'.encode()),
    "null": body(b"null"),
    "list": body(b"[]"),
    "object": body(b"{}"),
    "wrong-types": body(b'{"status":[],"id":{},"name":1,"models":"x","jobs":7}'),
    # errors
    "error-endless": flooded_after(b"HTTP/1.1 500 Oops\r\ncontent-type: " + PROBLEM + b"\r\n\r\n", b" "),
    "error-odd": body(b'{"type":1}', "400 Bad", PROBLEM),
    "error-escapes": body(problem(detail="\x1b]52;c;eA==\x07" * 1000, code="x"), "400 Bad", PROBLEM),
    "error-nested": body(b'{"errors":' + b"[" * 100_000, "400 Bad", PROBLEM),
    "busy-for-ever": body(problem(), "429 Busy", PROBLEM, b"retry-after: 1000000000"),
    "busy-odd": body(problem(), "429 Busy", PROBLEM, b"retry-after: " + b"9" * 5000),
    "login": body(b"<html>", "401 No", b"text/html", b"www-authenticate: Basic"),
    "proxy-login": body(b"<html>", "407 No", b"text/html", b"proxy-authenticate: Basic"),
    # streams
    "events-comments": flooded(b":\n\n", EVENTS),
    "events-unknown": flooded(b"event: x\ndata: y\n\n", EVENTS),
    "events-drip": dripped(b": ", EVENTS),
    "events-line": flooded(b"data: x", EVENTS),
    "events-data": flooded(b"data: x\n", EVENTS),
    "events-no-utf-8": events(b"event: state\ndata: \xff\n\n"),
    "events-malformed": events(b"event: state\ndata: {\n\nevent: sample\ndata: {\n\n"),
    "events-nan": events(b'event: progress\ndata: {"phase":"x","done":NaN}\n\nevent: sample\ndata: {"t_s":NaN}\n\n'),
    "events-of-another": events(JOB_EVENT + b"event: sample\ndata: []\n\n"),
    "events-odd-id": events(b'id: \x1b[2J\xc2\x9b\nevent: progress\ndata: {"phase":"x"}\n\nevent: sample\ndata: 1\n\n'),
    "events-html": body(b"<html>", "200 OK", b"text/html; x=text/event-stream"),
    "archive-drips": dripped(b"\0", b"application/x-tar"),
    "archive-endless": flooded(b"\0", b"application/x-tar"),
    "archive-cut-off": lambda wire: open_head(wire, b"content-length: 10000", kind=b"application/x-tar").send(b"x"),
}


class Hostile:
    """A server that gives one kind of answer to everything, on a port of its own."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._context = context
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        connection.settimeout(30)
        with suppress(OSError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                    head += data
                if not head:  # the other side left without asking
                    return
                method, path = head.decode(errors="replace").split(" ")[:2]
                self.requests.append(f"{method} {path}")
                if method == "HEAD":  # whether a file is there: it is not, so that it is sent
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    return
                self._answer(Wire(connection, method, path))
                connection.shutdown(socket.SHUT_WR)
                silent(Wire(connection, method, path))
        self._open.discard(connection)

    def close(self) -> None:
        """Break everything and accept nothing more."""
        for end in (self._listener, *list(self._open)):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def hostile(kinds: Mapping[str, Answer] = KINDS, tls: Path | None = None) -> Iterator[Mapping[str, Host]]:
    """A host for each kind; with a folder, over TLS with a certificate that is made there."""
    context, pem = None, None
    if tls is not None:
        from server.http.tls import ensure_certificate

        ensure_certificate(tls)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
        pem = (tls / "cert.pem").read_text()
    servers = {name: Hostile(answer, context) for name, answer in kinds.items()}
    scheme = "http" if tls is None else "https"
    try:
        yield {
            name: Host(name, f"{scheme}://127.0.0.1:{server.port}", certificate=pem, token="t" if tls else None)
            for name, server in servers.items()
        }
    finally:
        for server in servers.values():
            server.close()


if __name__ == "__main__":
    with hostile() as hosts:
        for host in hosts.values():
            print(host.url, host.name, flush=True)
        threading.Event().wait()

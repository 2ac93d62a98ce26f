"""A server on loopback that answers what a test says, and remembers what it was sent."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from client.sdk.hosts import Host

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers, body."""


@dataclass
class Recorder:
    """What came in, and what goes out by path."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    port: int = 0
    requests: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    """Values of the header Authorization."""

    def host(self, name: str = "recorder", token: str | None = None) -> Host:
        """It as an entry of the hosts file."""
        return Host(name, f"http://127.0.0.1:{self.port}", token=token)


@contextmanager
def recording(answers: Mapping[str, Answer] | None = None) -> Iterator[Recorder]:
    """A recorder that listens on a free port; paths without an answer are 404."""
    recorder = Recorder(answers or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            """Read a request and answer it."""
            recorder.requests.append(f"{self.command} {self.path}")
            recorder.tokens += self.headers.get_all("Authorization", [])
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = recorder.answers.get(self.path.partition("?")[0], (404, {}, b"nothing"))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    recorder.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

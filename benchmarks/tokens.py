"""CPU time that finding out who asks, and whether they may, takes of a request: with few tokens and with many.

In process and in turn, beside the least that a bearer token costs: its SHA-256 and one comparison.
"""

import asyncio
import hashlib
import hmac
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from benchmarks.common import alternation, table
from contract.paths import CLASSIFY, CLASSIFY_WITH
from contract.tokens import Scope as TokenScope
from contract.tokens import TokenRequest
from server.access.access import Access
from server.http.auth import Authentication
from server.http.sessions import Sessions
from server.storage.room import Room

TOKEN = "a token that only this benchmark uses"
COUNTS = (1, 8, 64)
BATCH = 500
Request = Callable[[], Awaitable[None]]


def main() -> None:
    """Measure and print the table."""
    arguments = alternation(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        cases: dict[str, Request] = {"SHA-256 and one comparison": _floor}
        for count in COUNTS:
            guarded = asyncio.run(_agent_with(Path(folder) / str(count), count))
            for path in (CLASSIFY, CLASSIFY_WITH.format(name="mobilenet")):
                cases[f"POST {path}, {count} tokens"] = _request(guarded, path)
        took: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(arguments.rounds * arguments.seconds):
            for name, request in cases.items():
                took[name].append(asyncio.run(_batch_us(request)))
    rows = [[name, f"{statistics.median(each):.1f}", f"{min(each):.1f}"] for name, each in took.items()]
    print(table(["", "median us of CPU", "least"], rows))


async def _batch_us(request: Request) -> float:
    began_ns = time.process_time_ns()
    for _ in range(BATCH):
        await request()
    return (time.process_time_ns() - began_ns) / BATCH / 1e3


_KNOWN = hashlib.sha256(TOKEN.encode()).hexdigest()


async def _floor() -> None:
    hmac.compare_digest(hashlib.sha256(TOKEN.encode()).hexdigest(), _KNOWN)


async def _agent_with(data: Path, count: int) -> Authentication:
    data.mkdir()
    access = Access(data, _KNOWN, Room(data))
    for number in range(count - 1):
        await access.tokens.create(TokenRequest(name=f"n{number}", scopes=[TokenScope.READ]))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    return Authentication(app, access, Sessions(data, access.tokens, tls=True), "probe", lambda scope: False)


def _request(guarded: Authentication, path: str) -> Request:
    headers = [(b"host", b"edge1"), (b"content-type", b"image/jpeg"), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "client": ("127.0.0.1", 1)}

    async def request() -> None:
        await guarded(dict(scope), _nothing, _nothing)

    return request


async def _nothing(*_: Any) -> Any:
    raise AssertionError("nothing is read or sent")


if __name__ == "__main__":
    main()

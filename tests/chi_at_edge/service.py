"""The four services as one app, and ways to run it."""

import asyncio
import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.chi_at_edge.blazar import Blazar
from tests.chi_at_edge.keystone import Keystone
from tests.chi_at_edge.knobs import Fault
from tests.chi_at_edge.neutron import Neutron
from tests.chi_at_edge.requests import Logged, Refusal, operation_of, refusal_body
from tests.chi_at_edge.state import Testbed
from tests.chi_at_edge.zun import Zun

KEEP_ALIVE_S = 60
"""Well above the pause between two polls, which would else meet a closing connection."""


def create_app(testbed: Testbed) -> ASGIApp:
    """The app of one site."""
    app = FastAPI(openapi_url=None)
    for service in (Keystone(testbed), Blazar(testbed), Zun(testbed), Neutron(testbed)):
        app.include_router(service.router)

    @app.exception_handler(Refusal)
    async def refuse(_: Request, refusal: Refusal) -> JSONResponse:
        return JSONResponse(refusal.body, refusal.status)

    return Watch(app, testbed)


class Watch:
    """ASGI middleware that logs every request and lets those fail that a test chose."""

    def __init__(self, app: ASGIApp, testbed: Testbed) -> None:
        self._app = app
        self._testbed = testbed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        request = Request(scope)
        target = f"{request.url.path}?{request.url.query}".rstrip("?")
        entry = Logged(operation_of(request.method, request.url.path), request.method, target, body)
        self._testbed.log.append(entry)
        answer: list[Message] = []

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Message) -> None:
            answer.append(message)

        refused, fault = self._refused(entry, request), None
        if refused is None and (fault := self._next_fault(entry)) is not None and fault.status is not None:
            service = entry.operation.split(".")[0]
            refused = JSONResponse(refusal_body(service, fault.status, "injected failure"), fault.status)
        if refused is None or (fault is not None and fault.after):
            await self._app(scope, again, collect)
        if fault is not None:
            with contextlib.suppress(asyncio.CancelledError):  # the service ends
                await asyncio.sleep(fault.delay_s)
        if refused is not None:
            answer.clear()
            await refused(scope, receive, collect)
        entry.status = answer[0]["status"]
        for message in answer:
            await send(message)

    def _refused(self, entry: Logged, request: Request) -> JSONResponse | None:
        """What needs no look at the request itself: no valid token, or too much."""
        service = entry.operation.split(".")[0]
        token = request.headers.get("x-auth-token", "")
        if service != "keystone" and self._testbed.tokens.get(token, 0) < time.monotonic():
            message = "The request you have made requires authentication."
            return JSONResponse(refusal_body("keystone", 401, message), 401)
        if len(entry.body) > self._testbed.knobs.body_limit_bytes:
            return JSONResponse(refusal_body(service, 413, "Request Entity Too Large"), 413)
        return None

    def _next_fault(self, entry: Logged) -> Fault | None:
        with self._testbed.lock:
            self._testbed.tick()
            return self._testbed.knobs.next_fault(entry.operation)


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


@contextlib.contextmanager
def running_testbed(folder: Path | None = None, port: int = 0) -> Iterator[Testbed]:
    """A site that is served in a thread of this process, until the block is left."""
    testbed = Testbed(folder or Path(tempfile.mkdtemp(prefix="chi-at-edge-")))
    with socket.create_server(("127.0.0.1", port)) as listener:
        testbed.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(testbed), log_config=None, access_log=False, timeout_keep_alive=KEEP_ALIVE_S, lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            yield testbed
        finally:
            server.should_exit = server.force_exit = True
            thread.join(timeout=60)
            testbed.close()

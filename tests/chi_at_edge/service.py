"""The four services as one app, and ways to run it."""

import asyncio
import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.chi_at_edge.blazar import Blazar
from tests.chi_at_edge.keystone import Keystone
from tests.chi_at_edge.neutron import Neutron
from tests.chi_at_edge.requests import Logged, Refusal, operation_of, refusal_body
from tests.chi_at_edge.state import Testbed
from tests.chi_at_edge.zun import Zun

KEEP_ALIVE_S = 60
"""Well above the pause between two polls, which would else meet a closing connection."""
Next = Callable[[Request], Awaitable[Response]]


def create_app(testbed: Testbed) -> FastAPI:
    """The app of one site."""
    app = FastAPI(openapi_url=None)
    for service in (Keystone(testbed), Blazar(testbed), Zun(testbed), Neutron(testbed)):
        app.include_router(service.router)

    @app.exception_handler(Refusal)
    async def refuse(_: Request, refusal: Refusal) -> JSONResponse:
        return JSONResponse(refusal.body, refusal.status)

    @app.middleware("http")
    async def watch(request: Request, call_next: Next) -> Response:
        operation = operation_of(request.method, request.url.path)
        body = await request.body()
        response = await _answer(testbed, operation, request, len(body), call_next)
        target = f"{request.url.path}?{request.url.query}".rstrip("?")
        testbed.log.append(Logged(operation, request.method, target, body, response.status_code))
        return response

    return app


async def _answer(testbed: Testbed, operation: str, request: Request, size: int, call_next: Next) -> Response:
    service = operation.split(".")[0]
    if service != "keystone" and testbed.tokens.get(request.headers.get("x-auth-token", ""), 0) < time.monotonic():
        return JSONResponse(refusal_body("keystone", 401, "The request you have made requires authentication."), 401)
    if size > testbed.knobs.body_limit_bytes:
        return JSONResponse(refusal_body(service, 413, "Request Entity Too Large"), 413)
    with testbed.lock:
        testbed.tick()
        fault = testbed.knobs.next_fault(operation)
    if fault is None:
        return await call_next(request)
    refused = None
    if fault.status is not None:
        refused = JSONResponse(refusal_body(service, fault.status, "injected failure"), fault.status)
    response = await call_next(request) if fault.after or refused is None else refused
    with contextlib.suppress(asyncio.CancelledError):  # whoever asked went away
        await asyncio.sleep(fault.delay_s)
    return refused or response


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
            thread.join(timeout=20)
            testbed.close()

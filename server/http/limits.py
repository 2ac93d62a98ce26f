"""A limit on bodies that are documents: what routes read as JSON must fit into memory many times over."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.codes import ErrorCode
from server.errors import AgentError
from server.http.requests import send_error

DOCUMENT_MAX_BYTES = 1 << 20
UNLIMITED_PREFIX = "/v1/blobs/"
"""Files, whose route counts bytes itself."""


class DocumentLimit:
    """ASGI middleware that cuts off a document at its limit."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNLIMITED_PREFIX):
            await self._app(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > DOCUMENT_MAX_BYTES:
                raise _too_large()
            return message

        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > DOCUMENT_MAX_BYTES:
            await send_error(_too_large(), scope, receive, send)
            return
        await self._app(scope, counted, send)


def _too_large() -> AgentError:
    return AgentError(ErrorCode.TOO_MANY_BYTES, f"a document may have {DOCUMENT_MAX_BYTES} bytes at most")

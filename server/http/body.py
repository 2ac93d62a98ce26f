"""Bodies on their way in: counted while they arrive, refused as soon as they are too large."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from contract.codes import ErrorCode
from server.errors import AgentError
from server.http.exchange import exchange_of
from server.workers.admission import Place
from server.workers.arena import MemoryBudget, Slot

FORM_OVERHEAD_BYTES = 64 * 1024
"""Boundaries and part headers that a multipart body may add to its pictures."""


@dataclass(frozen=True)
class Part:
    """A picture within a multipart body: its bytes, and the name it was sent under."""

    name: str
    content: bytes


class Bodies:
    """Reads request bodies within limits that hold for one body and for all bodies in memory together."""

    def __init__(self, max_image_bytes: int, max_images: int, budget: MemoryBudget) -> None:
        self._max_image_bytes = max_image_bytes
        self._max_images = max_images
        self._budget = budget

    async def image(self, request: Request, slot: Slot) -> None:
        """Receive the raw body as one picture; raises AgentError for no bytes and for too many."""
        reader = BodyReader(request, self._max_image_bytes)
        exchange = exchange_of(request.scope)
        if reader.announced and exchange is not None:
            await exchange.read_into(slot.room(reader.announced), slot.hold)
        while chunk := await reader.read():
            slot.append(chunk)
        if not slot.size:
            raise AgentError(ErrorCode.EMPTY_BODY, "the request brought no bytes")

    @asynccontextmanager
    async def parts(self, request: Request, place: Place) -> AsyncGenerator[list[Part], None]:
        """Receive the file parts of a multipart body, in their order; raises AgentError.

        Their bytes count as held until the context ends. The place is given up when they are there: each picture
        takes one of its own then.
        """
        held: list[int] = []
        try:
            with place:
                parts = await self._parse(request, held)
            yield parts
        finally:
            self._budget.release(sum(held))

    async def _parse(self, request: Request, held: list[int]) -> list[Part]:
        reader = BodyReader(request, self._max_image_bytes * self._max_images + FORM_OVERHEAD_BYTES)

        async def chunks() -> AsyncGenerator[bytes, None]:
            while chunk := await reader.read():
                self._budget.hold(len(chunk))
                held.append(len(chunk))
                yield chunk

        try:
            form = await _InMemoryParser(request.headers, chunks(), max_files=self._max_images).parse()
        except MultiPartException as error:
            raise _form_error(error, self._max_images) from error
        files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        if not files:
            hint = "curl -F picture=@one.jpg -F picture=@two.jpg"
            raise AgentError(ErrorCode.EMPTY_BODY, "the multipart body holds no file part", hint=hint)
        return [await _part(file, number, self._max_image_bytes) for number, file in enumerate(files, 1)]


class BodyReader:
    """Reads a request's body piece by piece and stops at a limit.

    Raises AgentError at once when more is announced than allowed. Reads from ASGI directly: an asynchronous generator
    around each piece, as Starlette has it, is a good part of what the agent's process does for a picture.
    """

    def __init__(self, request: Request, limit: int) -> None:
        self._receive = request.receive
        self._limit = limit
        self._received = 0
        self._more = True
        self.announced = _content_length(request.headers)
        """The body's size as its header gives it, None for a chunked one."""
        if self.announced is not None and self.announced > limit:
            raise _too_many_bytes(f"{self.announced} bytes are announced", limit)

    async def read(self) -> bytes:
        """The next piece, empty at the end; raises AgentError at the byte too many, ClientDisconnect when cut off."""
        while self._more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._more = message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            self._received += len(chunk)
            if self._received > self._limit:
                raise _too_many_bytes(f"{self._received} bytes came in", self._limit)
            if chunk:
                return chunk
        return b""


def _content_length(headers: Headers) -> int | None:
    value = headers.get("content-length", "")
    return int(value) if value.isdecimal() else None


def _too_many_bytes(found: str, limit: int) -> AgentError:
    return AgentError(ErrorCode.TOO_MANY_BYTES, f"{found}, at most {limit} are allowed here")


def _form_error(error: MultiPartException, max_images: int) -> AgentError:
    if "Too many files" in error.message:
        return AgentError(ErrorCode.TOO_MANY_IMAGES, f"at most {max_images} pictures may come in one request")
    return AgentError(ErrorCode.INVALID_REQUEST, f"the multipart body cannot be read: {error.message}")


async def _part(file: UploadFile, number: int, limit: int) -> Part:
    content = await file.read()
    await file.close()
    name = file.filename or f"part {number}"
    if len(content) > limit:
        raise _too_many_bytes(f"{name} has {len(content)} bytes", limit)
    return Part(name, content)


class _InMemoryParser(MultiPartParser):
    """Never spools parts to disk: their number and size are bounded, and the root may be read-only."""

    spool_max_size = 1 << 62

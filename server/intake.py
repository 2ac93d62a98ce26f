"""Bodies on their way in: counted while they arrive, refused as soon as they are too large."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import TracebackType

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from contract.codes import ErrorCode
from server.errors import AgentError

FORM_OVERHEAD_BYTES = 64 * 1024
"""Boundaries and part headers that a multipart body may add to its pictures."""


@dataclass(frozen=True)
class Picture:
    """The bytes of one picture as they came, in pieces, and the name they were sent under."""

    name: str
    chunks: list[bytes]


class Intake:
    """Reads request bodies within limits that hold for one body and for all bodies in memory together."""

    def __init__(self, max_image_bytes: int, max_pictures: int, max_held_bytes: int) -> None:
        self.max_image_bytes = max_image_bytes
        self.max_pictures = max_pictures
        self.max_held_bytes = max_held_bytes
        self.held_bytes = 0

    def open(self, request: Request) -> "Body":
        """The body of a request. What was read of it counts as held until the context ends."""
        return Body(self, request)


class Body:
    """One request's body; use as a context manager."""

    def __init__(self, intake: Intake, request: Request) -> None:
        self._intake = intake
        self._request = request
        self._held_bytes = 0

    def __enter__(self) -> "Body":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._intake.held_bytes -= self._held_bytes

    async def picture(self) -> Picture:
        """The raw body as one picture; raises AgentError for no bytes and for too many."""
        reader = BodyReader(self._request, self._intake.max_image_bytes)
        chunks = []
        while chunk := await reader.read():
            self._hold(chunk)
            chunks.append(chunk)
        if not chunks:
            raise AgentError(ErrorCode.EMPTY_BODY, "the request brought no bytes")
        return Picture("body", chunks)

    async def pictures(self) -> list[Picture]:
        """The file parts of a multipart body in their order; raises AgentError."""
        intake = self._intake
        limit = min(intake.max_image_bytes * intake.max_pictures, intake.max_held_bytes) + FORM_OVERHEAD_BYTES
        parser = _InMemoryParser(self._request.headers, self._chunks(limit), max_files=intake.max_pictures)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise _form_error(error, intake.max_pictures) from error
        files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        if not files:
            hint = "curl -F picture=@one.jpg -F picture=@two.jpg"
            raise AgentError(ErrorCode.EMPTY_BODY, "the multipart body holds no file part", hint=hint)
        return [await _part(file, number, intake.max_image_bytes) for number, file in enumerate(files, 1)]

    async def _chunks(self, limit: int) -> AsyncGenerator[bytes, None]:
        reader = BodyReader(self._request, limit)
        while chunk := await reader.read():
            self._hold(chunk)
            yield chunk

    def _hold(self, chunk: bytes) -> None:
        self._held_bytes += len(chunk)
        self._intake.held_bytes += len(chunk)
        if self._intake.held_bytes > self._intake.max_held_bytes:
            held = f"{self._intake.max_held_bytes >> 20} MiB"
            raise AgentError(ErrorCode.QUEUE_FULL, f"pictures that wait fill the {held} set aside for them")


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
        announced = _content_length(request.headers)
        if announced is not None and announced > limit:
            raise _too_many_bytes(f"{announced} bytes are announced", limit)

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


def _form_error(error: MultiPartException, max_pictures: int) -> AgentError:
    if "Too many files" in error.message:
        return AgentError(ErrorCode.TOO_MANY_PICTURES, f"at most {max_pictures} pictures may come in one request")
    return AgentError(ErrorCode.INVALID_REQUEST, f"the multipart body cannot be read: {error.message}")


async def _part(file: UploadFile, number: int, limit: int) -> Picture:
    content = await file.read()
    await file.close()
    name = file.filename or f"part {number}"
    if len(content) > limit:
        raise _too_many_bytes(f"{name} has {len(content)} bytes", limit)
    return Picture(name, [content] if content else [])


class _InMemoryParser(MultiPartParser):
    """Never spools parts to disk: their number and size are bounded, and the root may be read-only."""

    spool_max_size = 1 << 62

"""The live page: HTML, style and scripts, which hold no data and are the same on every agent of a version."""

import asyncio
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response, status
from starlette.types import Receive, Scope, Send

import web
from contract.codes import ErrorCode
from contract.paths import PAGE, STATIC, STATIC_PREFIX
from server.errors import AgentError

router = APIRouter(include_in_schema=False)

FOLDERS = (Path(__file__).parents[1] / "static", Path(web.__file__).parent)
"""The page's own files, and those that it shares with the report."""
INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Files of other kinds are not served."""
PIECE_BYTES = 64 * 1024
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "media-src blob:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-cache",  # kept, but asked for each time: a new agent may be at this address
    "vary": "accept-encoding",
}


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str


class _InPieces(Response):
    """An answer that is handed on piece by piece: for who never reads, one piece is held and not all of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for start in range(0, len(body), PIECE_BYTES):
            piece = bytes(body[start : start + PIECE_BYTES])
            more = start + PIECE_BYTES < len(body)
            await send({"type": "http.response.body", "body": piece, "more_body": more})


@router.get(PAGE)
@router.get(STATIC)
async def file(request: Request) -> Response:
    """The live page, or a part of it."""
    if not _files.cache_info().currsize:
        await asyncio.to_thread(_files)
    path = request.scope["path"]
    found = _files().get(INDEX if path == PAGE else path.removeprefix(STATIC_PREFIX))
    if found is None:
        raise AgentError(ErrorCode.NOT_FOUND, f"no resource {path}")
    headers = {**HEADERS, "etag": found.etag}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return _InPieces(found.compressed, headers=headers, media_type=found.media_type)
    return _InPieces(found.content, headers=headers, media_type=found.media_type)


@cache
def _files() -> dict[str, StaticFile]:
    """All files of the page by name, read when the first one is asked for."""
    paths = (path for folder in FOLDERS for path in sorted(folder.iterdir()))
    return {path.name: _read(path) for path in paths if path.suffix in MEDIA_TYPES}


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return StaticFile(content, gzip.compress(content, mtime=0), MEDIA_TYPES[path.suffix], etag)

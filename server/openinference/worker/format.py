"""How a body of the protocol is written, which its HTTP headers say; importable without NumPy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BodyFormat:
    """How a request's body is to be read, and its reply's be written."""

    header_bytes: int | None
    """Inference-Header-Content-Length: bytes of the JSON header; 0 for a bare tensor, None for JSON alone."""
    max_bytes: int
    """The largest body, also once it is decompressed."""
    coding: str | None = None
    """Content-Encoding of the request: gzip or deflate."""
    reply_coding: str | None = None
    """The coding that the sender accepts for a reply."""

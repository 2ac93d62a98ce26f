"""Compressed bodies: undone within a limit, whatever they claim, and made when they are asked for."""

import zlib
from collections.abc import Iterable

from contract.codes import ErrorCode
from server.openinference.worker.faults import refuse

WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""How zlib calls the content codings of RFC 9110: gzip, and deflate in its zlib wrapper."""

FASTEST = 1
SMALLEST_WORTH_IT_BYTES = 1024
"""Shorter replies go out as they are: they fit into one packet anyway."""


def decompress(body: memoryview, coding: str, max_bytes: int) -> memoryview:
    """Undo a content coding; raises OrderFailed when the result is larger than allowed, or the body is damaged.

    No more than `max_bytes` and one are ever made of it.
    """
    decoder = zlib.decompressobj(WINDOW_BITS[coding])
    try:
        content = decoder.decompress(body, max_bytes + 1)
    except zlib.error as error:
        refuse(f"the body is not valid {coding}: {error}")
    if len(content) > max_bytes:
        detail = f"decompressed, the body has more than the {max_bytes} bytes that are allowed here"
        refuse(detail, ErrorCode.TOO_MANY_BYTES)
    if not decoder.eof:
        refuse(f"the {coding} body is cut off")
    if decoder.unused_data:
        refuse(f"something follows the {coding} body")
    return memoryview(content)


def compress(parts: Iterable[memoryview], coding: str) -> bytes:
    """Pieces of a body as one, in a content coding."""
    encoder = zlib.compressobj(FASTEST, zlib.DEFLATED, WINDOW_BITS[coding])
    return b"".join([*(encoder.compress(part) for part in parts), encoder.flush()])

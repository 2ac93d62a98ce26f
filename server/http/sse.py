"""Server-sent events as bytes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: readers skip it, and proxies see that the connection lives."""
KEEP_ALIVE_S = 15.0
"""A comment is sent this often, so that nobody in between takes the silence for the end."""
MEDIA_TYPE = "text/event-stream"


def event(name: str, data: str, id: int | None = None) -> bytes:
    """One event; data of several lines becomes several `data:` fields, which readers join again."""
    lines = [f"event: {name}"]
    if id is not None:
        lines.append(f"id: {id}")
    lines.extend(f"data: {line}" for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return ("\n".join(lines) + "\n\n").encode()


async def kept_alive(events: AsyncGenerator[bytes, None], pause_s: float = KEEP_ALIVE_S) -> AsyncIterator[bytes]:
    """The events, and KEEP_ALIVE whenever none came for so long. Closes the generator in the end."""
    pending = asyncio.ensure_future(anext(events))
    try:
        while True:
            await asyncio.wait({pending}, timeout=pause_s)
            if not pending.done():
                yield KEEP_ALIVE
                continue
            try:
                yield pending.result()
            except StopAsyncIteration:
                return
            pending = asyncio.ensure_future(anext(events))
    finally:
        pending.cancel()
        with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
            await pending
        await events.aclose()

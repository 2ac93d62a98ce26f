"""Server-sent events as bytes."""

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: readers skip it, and proxies see that the connection lives."""
MEDIA_TYPE = "text/event-stream"


def event(name: str, data: str, id: int | None = None) -> bytes:
    """One event; data of several lines becomes several `data:` fields, which readers join again."""
    lines = [f"event: {name}"]
    if id is not None:
        lines.append(f"id: {id}")
    lines.extend(f"data: {line}" for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return ("\n".join(lines) + "\n\n").encode()

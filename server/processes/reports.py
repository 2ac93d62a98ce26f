"""What a child process reports, read by the event loop.

Over a pair of sockets and not through a pipe: of a pipe, uvloop first closes the descriptor and then the file object
around it, by when another thread may have opened something under the same number (uvloop/handles/handle.pyx, `_close`;
a socket it detaches instead).
"""

import asyncio
import socket


class ChildReport:
    """The agent's end, until the context ends, and `theirs`, which is passed to the child."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._writer: asyncio.StreamWriter | None = None

    async def reader(self, line_max_bytes: int) -> asyncio.StreamReader:
        """What the child writes, to its end; to be called once, when the child has been started."""
        self.theirs.close()
        reader, self._writer = await asyncio.open_unix_connection(sock=self._ours, limit=line_max_bytes)
        return reader

    def __enter__(self) -> "ChildReport":
        return self

    def __exit__(self, *exception: object) -> None:
        self.theirs.close()
        if self._writer is not None:
            self._writer.close()
        else:
            self._ours.close()

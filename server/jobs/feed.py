"""What happens in a running job, for whoever watches: from the beginning, then as it comes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel

from contract.results import Window

STATE, PROGRESS, WINDOW = "state", "progress", "window"


@dataclass(frozen=True)
class FeedEvent:
    """One event; windows are numbered, so that a watcher that was cut off can go on where it was."""

    name: str
    data: BaseModel
    number: int | None = None

    @cached_property
    def text(self) -> str:
        """The data as JSON, made once for all watchers."""
        return self.data.model_dump_json()


class JobFeed:
    """The events of one job. Windows are kept; of states and progress only the newest counts."""

    def __init__(self) -> None:
        self._windows: list[FeedEvent] = []
        self._newest: dict[str, FeedEvent] = {}
        self._changed = asyncio.Condition()
        self._version = 0
        self._closed = False

    async def publish(self, name: str, data: BaseModel) -> None:
        """Tell all watchers."""
        if isinstance(data, Window):
            self._windows.append(FeedEvent(name, data, len(self._windows) + 1))
        else:
            self._newest[name] = FeedEvent(name, data)
        await self._wake()

    async def close(self) -> None:
        """The last event was published."""
        self._closed = True
        await self._wake()

    async def _wake(self) -> None:
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    async def watch(self, after: int, pause_s: float) -> AsyncIterator[FeedEvent | None]:
        """Events from window number `after` on; None whenever nothing happened for `pause_s`."""
        seen: dict[str, FeedEvent] = {}
        while True:
            version, closed = self._version, self._closed
            for number in range(after, len(self._windows)):
                yield self._windows[number]
            after = max(after, len(self._windows))
            for name in (PROGRESS, STATE):
                newest = self._newest.get(name)
                if newest is not None and seen.get(name) is not newest:
                    seen[name] = newest
                    yield newest
            if closed:
                return
            if not await self._changed_since(version, pause_s):
                yield None

    async def _changed_since(self, version: int, pause_s: float) -> bool:
        try:
            async with asyncio.timeout(pause_s), self._changed:
                await self._changed.wait_for(lambda: self._version != version)
        except TimeoutError:
            return False
        return True

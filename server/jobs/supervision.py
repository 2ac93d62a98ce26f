"""A task that is to run as long as the agent does: what ends it is logged, and it is started again."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

RESTART_AFTER_S = 1.0


class Supervised:
    """One task. `work` returns when it is to end, and calls `well` whenever it has done something."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._fault: str | None = "it has not begun"

    @property
    def fault(self) -> str | None:
        """Why it does not work, None while it does."""
        if self._fault is None and self._task is not None and self._task.done():
            return f"{self._name} has ended"
        return f"{self._name}: {self._fault}" if self._fault else None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    def well(self) -> None:
        """It works, whatever was before."""
        if self._fault is not None and self._task is not None:
            self._fault = None

    async def stop(self, timeout_s: float) -> None:
        """Wait for its end, and end it when that takes too long."""
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=timeout_s)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._work()
            except Exception as error:
                self._fault = f"{type(error).__name__}: {error}"
                log.exception("%s failed; it goes on in %g s", self._name, RESTART_AFTER_S)
                await asyncio.sleep(RESTART_AFTER_S)
            else:
                return

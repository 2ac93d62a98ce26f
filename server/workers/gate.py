"""Who may use the device: everybody, or one job that measures."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from contract.codes import ErrorCode
from server.errors import AgentError

IDLE_POLL_S = 0.02


class DeviceGate:
    """The agent's one lock on the device; it belongs to the event loop's thread."""

    def __init__(self, in_flight: Callable[[], int]) -> None:
        """`in_flight` counts the pictures in work or waiting on the whole agent."""
        self._in_flight = in_flight
        self._job_id: str | None = None

    @property
    def busy(self) -> bool:
        """Whether a job has the device for itself."""
        return self._job_id is not None

    def check_free(self) -> None:
        """Raise AgentError while a job has the device for itself."""
        if self._job_id is not None:
            raise AgentError(ErrorCode.MEASURING, f"job {self._job_id} measures, so that nothing else may run")

    @asynccontextmanager
    async def reserve(self, job_id: str) -> AsyncIterator[None]:
        """Let nobody else in; the block begins when those who were let in before have been answered."""
        self._job_id = job_id
        try:
            while self._in_flight():
                await asyncio.sleep(IDLE_POLL_S)
            yield
        finally:
            self._job_id = None

"""Waiting for an agent that answered before and is away for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from client.budget import given_timeout_s
from client.errors import Answered, Unreachable
from client.exchange import RETRIED_CODES
from client.feeds import PATIENCE_S, RETRY_WAIT_S

T = TypeVar("T")


class Patiently:
    """Repeats calls while the agent cannot be reached or starts again; only for calls that may be repeated."""

    def __init__(self, patience_s: float | None = None) -> None:
        self._patience_s = patience_s or given_timeout_s() or PATIENCE_S
        self._heard_s = time.monotonic()

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's answer; raises what it raises, once the agent is away for longer than the patience lasts."""
        while True:
            try:
                answer = await call()
            except (Unreachable, Answered) as error:
                passing = isinstance(error, Unreachable) or error.problem.code in RETRIED_CODES
                if not passing or time.monotonic() - self._heard_s > self._patience_s:
                    raise
                await asyncio.sleep(RETRY_WAIT_S)
            else:
                self._heard_s = time.monotonic()
                return answer

"""Waiting for an agent that answered before and is away for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from client.errors import Answered, BadAnswer, Unreachable
from client.sdk.budget import given_timeout_s
from client.sdk.patience import PATIENCE_S, RETRY_WAIT_S
from client.sdk.request import RETRIED_CODES
from contract.jobs import AnyRequest, Job, JobState

T = TypeVar("T")

ATTEMPTS_MAX = 3
"""How often agents begin a job anew that asks for it."""
OVERDUE_S = 2 * 3600.0
"""How much longer than its limit a job may say that it runs: it may wait for a cool device and write what it left."""


class Running:
    """How long a job may say that it runs, by this machine's clock: what was asked for, once for each attempt."""

    def __init__(self, host: str, overdue_s: float = OVERDUE_S) -> None:
        self._host = host
        self._overdue_s = given_timeout_s() or overdue_s
        self._since_s: dict[str, float] = {}

    def check(self, job: Job, request: AnyRequest) -> None:
        """Raise BadAnswer for a job that should have ended long ago; `request` is what was asked for."""
        if job.state is not JobState.RUNNING:
            return
        ran_s = time.monotonic() - self._since_s.setdefault(job.id, time.monotonic())
        attempts = ATTEMPTS_MAX if request.after_restart == "requeue" else 1
        if ran_s > attempts * (request.timeout_s + self._overdue_s):
            raise BadAnswer(self._host, f"job {job.id} is said to run, {ran_s:.0f} s after it began")


class Retrying:
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

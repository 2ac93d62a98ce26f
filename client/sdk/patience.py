"""How long a broken stream is opened again."""

import time
from typing import Any

import httpx

from client.errors import BadAnswer, Malformed, Unreachable
from client.sdk.answers import Answer, check_head, check_type
from client.sdk.events import Feed
from client.sdk.hosts import Host
from client.sdk.request import RETRIED_CODES, error_of, unreachable

SILENCE_MAX_S = 30.0
"""A stream that says nothing for so long is opened again, from where it was: a dead connection looks the same."""
PATIENCE_S = 120.0
"""How long an agent that answered before may be away."""
RETRY_WAIT_S = 1.0


class Patience:
    """How long a broken stream is opened again: as long as the agent answers now and then."""

    def __init__(self, host: Host, heard_s: float | None, patience_s: float = PATIENCE_S) -> None:
        """`heard_s` is when the agent last answered another call, on the monotonic clock."""
        self._host = host
        self._patience_s = patience_s
        self._heard_s = heard_s
        self._opened = False

    def heard(self) -> None:
        """Take note of a sign of life."""
        self._heard_s = time.monotonic()

    def opened(self, answer: Answer, feed: Feed[Any]) -> bool:
        """Whether the answer is the stream; False for a refusal that passes by itself. Raises Answered, Malformed."""
        check_head(answer)
        if answer.status == httpx.codes.OK:
            check_type(answer, feed.media_type)
            if feed.quiet or not self._opened:
                self.heard()
            self._opened = True
            return True
        if answer.status < httpx.codes.BAD_REQUEST:
            raise Malformed(f"it has the status {answer.status} instead of 200")
        refusal = error_of(self._host, answer)
        if self._heard_s is None or refusal.problem.code not in RETRIED_CODES or self._is_over():
            raise refusal
        return False

    def after_end(self) -> float:
        """Seconds to wait after a stream that ended too early; raises EdgeError when it says nothing for too long."""
        if self._is_over():
            raise Unreachable(f"{self._host.name}: its stream ends again and again without saying anything")
        return RETRY_WAIT_S

    def after_break(self, error: httpx.TransportError | OSError | Malformed | Unreachable) -> float:
        """Seconds to wait after a broken connection; raises EdgeError when it was never there, or is gone too long."""
        if isinstance(error, Malformed):
            raise BadAnswer(self._host.name, str(error)) from error
        if self._heard_s is None or self._is_over():
            if isinstance(error, Unreachable):
                raise error
            raise unreachable(self._host, error) from error
        return 0.0 if isinstance(error, httpx.ReadTimeout) else RETRY_WAIT_S

    def _is_over(self) -> bool:
        silence_s = min(SILENCE_MAX_S, self._patience_s)
        return self._heard_s is not None and time.monotonic() - self._heard_s > self._patience_s + silence_s

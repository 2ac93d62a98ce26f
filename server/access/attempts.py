"""Wrong secrets, counted by the address they came from."""

import logging
import time
from collections import deque

from contract.codes import ErrorCode
from server.errors import AgentError

log = logging.getLogger(__name__)

ATTEMPTS_PER_MINUTE = 10
ADDRESSES_REMEMBERED = 1024


class WrongAttempts:
    """Lets an address be wrong so often within a minute. What is right is never counted and never slowed down.

    The log names an address when it begins to be wrong and when it is refused, and never what it sent.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._wrong: dict[str, deque[float]] = {}

    def count(self, address: str) -> None:
        """One more; raises AgentError TOO_MANY_ATTEMPTS when there were too many already."""
        attempts = self._wrong.setdefault(address, deque())
        now = time.monotonic()
        while attempts and now - attempts[0] >= 60:
            attempts.popleft()
        if len(attempts) >= ATTEMPTS_PER_MINUTE:
            detail = f"more than {ATTEMPTS_PER_MINUTE} wrong {self._what} within a minute"
            raise AgentError(ErrorCode.TOO_MANY_ATTEMPTS, detail)
        if not attempts:
            log.warning("%s comes with wrong %s", address, self._what)
        attempts.append(now)
        if len(attempts) == ATTEMPTS_PER_MINUTE:
            log.warning("%s came with %d wrong %s: more are refused for a minute", address, len(attempts), self._what)
        if len(self._wrong) > ADDRESSES_REMEMBERED:
            self._wrong.pop(next(iter(self._wrong)))

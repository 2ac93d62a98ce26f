"""Wrong secrets, counted by the address they came from."""

import time
from collections import deque

from contract.codes import ErrorCode
from server.errors import AgentError

ATTEMPTS_PER_MINUTE = 10
ADDRESSES_REMEMBERED = 1024


class WrongAttempts:
    """Lets an address be wrong so often within a minute. What is right is never counted and never slowed down."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._wrong: dict[str, deque[float]] = {}

    def count(self, address: str) -> None:
        """One more; raises AgentError TOO_MANY_ATTEMPTS when there were too many already."""
        attempts = self._wrong.setdefault(address, deque(maxlen=ATTEMPTS_PER_MINUTE))
        now = time.monotonic()
        if len(attempts) == ATTEMPTS_PER_MINUTE and now - attempts[0] < 60:
            detail = f"more than {ATTEMPTS_PER_MINUTE} wrong {self._what} within a minute"
            raise AgentError(ErrorCode.TOO_MANY_ATTEMPTS, detail)
        attempts.append(now)
        if len(self._wrong) > ADDRESSES_REMEMBERED:
            self._wrong.pop(next(iter(self._wrong)))

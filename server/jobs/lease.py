"""The lease of the device: what can no longer be done is not begun."""

import time

from contract.codes import ErrorCode
from contract.jobs import AnyRequest, BenchmarkRequest
from contract.lease import LeaseTime
from server.errors import AgentError


class LeaseClock:
    """Counts down from what was said last."""

    def __init__(self) -> None:
        self._ends_s: float | None = None

    def set(self, lease: LeaseTime) -> None:
        """Take note of the time that is left, or that there is no end."""
        self._ends_s = None if lease.left_s is None else time.monotonic() + lease.left_s

    @property
    def now(self) -> LeaseTime:
        """The time that is left; an end that went by without an end was put off by somebody who did not say so."""
        left_s = None if self._ends_s is None else self._ends_s - time.monotonic()
        return LeaseTime(left_s=left_s if left_s is not None and left_s > 0 else None)

    def require(self, request: AnyRequest) -> None:
        """Raise AgentError LEASE_TOO_SHORT for a job that measures for longer than is left."""
        left_s, needed_s = self.now.left_s, _least_s(request)
        if left_s is not None and needed_s > left_s:
            detail = f"it measures for {needed_s:.0f} s, and the device's lease ends in {left_s:.0f} s"
            raise AgentError(ErrorCode.LEASE_TOO_SHORT, detail)


def _least_s(request: AnyRequest) -> float:
    """Seconds that a job takes at least, as far as that was asked for."""
    return request.spec.duration_s or 0.0 if isinstance(request, BenchmarkRequest) else 0.0

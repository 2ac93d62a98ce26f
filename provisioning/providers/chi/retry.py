"""Asking again while the site stumbles: only for calls that may be made twice."""

import os
import time
from collections.abc import Callable, Collection
from typing import TypeVar

from provisioning.errors import ProvisioningError
from provisioning.providers.chi.errors import NO_CONNECTION, OVERLOADED, status_of

PATIENCE_VARIABLE = "EDGERUN_CHI_PATIENCE"
PATIENCE_S = 120.0
"""For work in steps, such as a transfer, an installation or a program: each step may be asked for again."""
BRIEF_S = 4.0
"""For a question whose answer somebody waits for."""
PASSING = frozenset({409, 500})
"""What one call in many meets at the site: a fault inside, and a container that is just starting again."""
PASSING_S = 15.0
PAUSE_FIRST_S, PAUSE_MOST_S = 0.3, 10.0

T = TypeVar("T")


def patience_s() -> float:
    """How long work in steps waits for the site; raises ProvisioningError for a wrong variable."""
    return seconds_of(PATIENCE_VARIABLE, PATIENCE_S)


def seconds_of(variable: str, default: float) -> float:
    """A number of seconds that the user may set; raises ProvisioningError."""
    try:
        return float(os.environ.get(variable) or default)
    except ValueError:
        raise ProvisioningError(f"{variable} must be a number of seconds") from None


def repeat(
    call: Callable[[], T],
    patience_s: float = BRIEF_S,
    *,
    final: Collection[int] = (),
    settled: Callable[[T], bool] = lambda _: True,
) -> T:
    """Make a call, again while the site stumbles or the answer is not `settled`.

    `final` statuses are not waited out. Gives the last answer, or raises what the last attempt raised.
    """
    started, pause_s = time.monotonic(), PAUSE_FIRST_S
    while True:
        try:
            answer = call()
        except Exception as error:
            if time.monotonic() - started + pause_s > _worth_s(error, patience_s, final):
                raise
        else:
            if settled(answer) or time.monotonic() - started + pause_s > patience_s:
                return answer
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, PAUSE_MOST_S)


def _worth_s(error: Exception, patience_s: float, final: Collection[int]) -> float:
    """For how long what went wrong is worth asking again."""
    status = status_of(error)
    if status in final:
        return 0.0
    if status in OVERLOADED or type(error).__name__ in NO_CONNECTION:
        return patience_s
    return min(patience_s, PASSING_S) if status in PASSING else 0.0

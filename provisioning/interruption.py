"""SIGTERM and SIGHUP (a timeout, a CI job that is cancelled, a closed terminal) take the way of Ctrl-C: undo first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from provisioning.provider import Report

LIKE_CTRL_C = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_interrupt() -> Iterator[list[int]]:
    """Until the context ends, these signals interrupt; gives the list of those that did, as they come.

    A signal that was to be ignored stays ignored, as under `nohup`.
    """
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        received.append(number)
        if callable(signal.getsignal(signal.SIGINT)):
            signal.raise_signal(signal.SIGINT)  # whoever handles it now, such as an event loop
        else:  # a shell ignores it for what it starts in the background
            raise KeyboardInterrupt

    taken = [number for number in LIKE_CTRL_C if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield received
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def to_whoever_reads(report: Report) -> Report:
    """The same, without a fault where nobody reads any more: a closed terminal must not keep us from undoing."""

    def tell(text: str) -> None:
        with suppress(OSError):
            report(text)

    return tell

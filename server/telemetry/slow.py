"""Sensors that take long to answer, read by a thread of their own: some power chips need tens of milliseconds."""

import threading
import time
from collections.abc import Callable, Sequence

from server.telemetry.series import Group, Reading

SLOW_S = 0.01
"""A group that takes longer than this at the start is read apart."""
BEAT_S = 1.0
SHARE_OF_BEAT = 20
"""The pause is at least so many times as long as a reading: a slow sensor must not keep a core busy."""
STALE_BEATS = 3
"""A value older than so many pauses is no longer given out."""


class SlowGroup:
    """Stands in for a group and gives its newest values at once."""

    def __init__(self, group: Group, read: Callable[[], Sequence[Reading]], first: Sequence[Reading]) -> None:
        source = "{} (read apart: it is slow)"
        infos = [info.model_copy(update={"source": source.format(info.source)}) for info in group.infos]
        self.group = Group(infos, self._newest)
        self._read = read
        self._values = list(first)
        self._read_at = time.monotonic()
        self._pause_s = BEAT_S
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slow sensors", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; waits for a reading under way, but not for one that hangs."""
        self._ended.set()
        self._thread.join(BEAT_S)

    def _newest(self) -> list[Reading]:
        stale = time.monotonic() - self._read_at > STALE_BEATS * self._pause_s
        return [None] * len(self._values) if stale else self._values

    def _run(self) -> None:
        while not self._ended.wait(self._pause_s):
            began = time.monotonic()
            self._values = list(self._read())
            self._read_at = time.monotonic()
            self._pause_s = max(BEAT_S, SHARE_OF_BEAT * (self._read_at - began))

"""Room on the disk: a reserve that is given up when the disk is full, so that what runs can be ended and noted."""

import contextlib
import logging
import os
from pathlib import Path

from contract.codes import ErrorCode
from server.errors import AgentError

log = logging.getLogger(__name__)

MIB = 1 << 20
RESERVE_NAME = "reserve"
RESERVE_BYTES = 8 * MIB
ROOM_MIN_BYTES = 2 * MIB
"""The least free bytes beside the reserve with which something new is begun."""


class Room:
    """The disk under the data folder."""

    def __init__(self, data: Path) -> None:
        """Give up a reserve of before where the disk is full; make one where there is room."""
        self._data = data
        self._path = data / RESERVE_NAME
        self._was_full = False
        if self.is_full:
            self.release()
        self.keep()

    @property
    def is_full(self) -> bool:
        """Whether there is too little room for anything new."""
        return self._spare_bytes() < ROOM_MIN_BYTES

    @property
    def reason(self) -> str | None:
        """Why nothing new is begun, None while there is room."""
        if not self.is_full:
            return None
        spare, least = max(0, self._spare_bytes()) / MIB, ROOM_MIN_BYTES // MIB
        return f"{spare:.1f} MiB are free under {self._data}, {least} MiB are needed"

    def require(self) -> None:
        """Raise AgentError STORAGE_FULL where there is no room for something new."""
        if (reason := self.reason) is not None:
            raise AgentError(ErrorCode.STORAGE_FULL, f"nothing new is taken: {reason}")

    def release(self) -> bool:
        """Give up the reserve, for what must be written now; False when there was none."""
        held = self._held_bytes() > 0
        with contextlib.suppress(OSError):
            os.truncate(self._path, 0)
        if held:
            log.warning("the disk of %s is full: the reserve of %d MiB is used", self._data, RESERVE_BYTES // MIB)
        return held

    def keep(self) -> None:
        """Make the reserve where it is not there and there is room for it beside what is new; log what changed."""
        full = self.is_full
        if full != self._was_full:
            log.warning("the disk: %s", self.reason or "there is room again")
            self._was_full = full
        if full or self._held_bytes() >= RESERVE_BYTES:
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("no reserve can be kept for a full disk: %s", error)
            self.release()

    def _spare_bytes(self) -> int:
        """Free bytes beside the reserve, whether that is held now or not."""
        found = os.statvfs(self._data)
        return found.f_bavail * found.f_frsize + self._held_bytes() - RESERVE_BYTES

    def _held_bytes(self) -> int:
        try:
            return self._path.lstat().st_size
        except OSError:
            return 0

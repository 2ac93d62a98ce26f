"""Who changed what, and when: a line of JSON a change, in two files of which the older one goes."""

import asyncio
import contextlib
import itertools
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from contract.text import LINE_MAX, NAME_MAX, visible
from contract.tokens import AuditEntry, AuditPage
from server.storage.trees import Folder

log = logging.getLogger(__name__)

FILE_NAME = "audit.jsonl"
OLDER_NAME = "audit.jsonl.1"
FILE_BYTES = 1 << 20
"""Where a new file is begun: the two hold some ten thousand changes."""
LINE_BYTES = 8192
PENDING_MAX = 1000
"""Lines that may wait for a disk that hangs; more are counted."""
REFUSED_PER_MINUTE = 10
"""Refused attempts of one token that get lines of their own within a minute, so that none pushes out what was done."""
REFUSED_LOGIN, REFUSED_MORE, LOST = "login.refused", "more.refused", "audit.lost"
ADDRESSES_MAX = 256
OTHERS = "others"


@dataclass(frozen=True)
class Change:
    """A change as it was asked for, its texts not cleaned yet."""

    token: str | None
    anonymous: bool
    """Whether it came without a token to an agent that wants one, as a browser's code does."""
    session: bool
    address: str
    action: str
    target: str | None
    status: int | None
    """None where the sender hung up before it was answered."""
    request_id: str


class AuditLog:
    """Takes changes and never makes anybody wait for the disk. All methods belong to the event loop's thread."""

    def __init__(self, data: Path, file_bytes: int = FILE_BYTES) -> None:
        self._file = _AuditFile(data, file_bytes)
        self._thread = ThreadPoolExecutor(1, "audit")
        self._places = threading.BoundedSemaphore(PENDING_MAX)
        self._losing = threading.Lock()
        self._lost = 0
        self._logins: Counter[str] = Counter()
        self._refused: Counter[str | None] = Counter()

    def note(self, change: Change) -> None:
        """Take note of a change; refused ones are counted where nobody is known for them, or one token has many."""
        if change.status is not None and 400 <= change.status < 500:
            if change.anonymous:
                return self.login_refused(change.address)
            self._refused[change.token] += 1
            if self._refused[change.token] > REFUSED_PER_MINUTE:
                return None
        return self._write(_entry(change))

    def login_refused(self, address: str) -> None:
        """Count a wrong token or code."""
        known = address in self._logins or len(self._logins) < ADDRESSES_MAX
        self._logins[address if known else OTHERS] += 1

    def sum_up(self) -> None:
        """Write what was only counted; to be called about once a minute."""
        for address, count in self._logins.items():
            self._write(_sum(REFUSED_LOGIN, count, address=address))
        for token, count in self._refused.items():
            if count > REFUSED_PER_MINUTE:
                self._write(_sum(REFUSED_MORE, count - REFUSED_PER_MINUTE, token=token))
        self._logins.clear()
        self._refused.clear()
        with self._losing:
            lost, self._lost = self._lost, 0
        if lost:
            self._write(_sum(LOST, lost))

    async def page(self, limit: int, before: int | None) -> AuditPage:
        """The newest changes, or those before one; with all that was noted until now."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._file.page, limit, before)

    def stop(self) -> None:
        """Write what is left."""
        self.sum_up()
        self._thread.shutdown()
        self._file.close()

    def _write(self, entry: AuditEntry) -> None:
        if self._places.acquire(blocking=False):
            self._thread.submit(self._append, entry)
        else:
            self._lose(entry)

    def _append(self, entry: AuditEntry) -> None:
        try:
            self._file.append(entry)
        except Exception as error:  # a full disk costs the line, and no request its answer
            self._lose(entry)
            log.warning("a change could not be noted in %s: %s", FILE_NAME, error)
        finally:
            self._places.release()

    def _lose(self, entry: AuditEntry) -> None:
        with self._losing:
            self._lost += entry.count if entry.action == LOST else 1


class _AuditFile:
    """The two files. All methods belong to the log's own thread."""

    def __init__(self, data: Path, file_bytes: int) -> None:
        self._data = data
        self._file_bytes = file_bytes
        self._folder: Folder | None = None
        self._descriptor: int | None = None
        self._number = 0

    def append(self, entry: AuditEntry) -> None:
        """Add a line as a whole or not at all; raises OSError."""
        descriptor = self._opened()
        entry = entry.model_copy(update={"number": self._number + 1})
        line = entry.model_dump_json(exclude_defaults=True).encode() + b"\n"
        size = os.fstat(descriptor).st_size
        if size + len(line) > self._file_bytes:
            descriptor, size = self._begin_new(), 0
        written = 0
        try:
            written = os.write(descriptor, line)
        finally:
            if written < len(line):
                os.ftruncate(descriptor, size)
        if written < len(line):
            raise OSError("no room for the whole line")
        self._number += 1

    def page(self, limit: int, before: int | None) -> AuditPage:
        """Entries, newest first."""
        older = (entry for entry in self._newest_first() if before is None or entry.number < before)
        found = list(itertools.islice(older, limit + 1))
        return AuditPage(entries=found[:limit], next=found[limit - 1].number if len(found) > limit else None)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        if self._folder is not None:
            self._folder.close()
        self._descriptor = self._folder = None

    def _opened(self) -> int:
        if self._descriptor is not None and os.fstat(self._descriptor).st_nlink:
            return self._descriptor
        self.close()
        self._number = max(self._number, next((entry.number for entry in self._newest_first()), 0))
        descriptor = self._open()
        if _is_cut_off(descriptor):
            os.write(descriptor, b"\n")  # an agent died in the middle of a line: the next one begins anew
        self._descriptor = descriptor
        return descriptor

    def _open(self) -> int:
        if self._folder is None:
            self._folder = Folder.at(self._data.resolve())
        return self._folder.open(FILE_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT)

    def _begin_new(self) -> int:
        assert self._folder is not None
        self._folder.move(FILE_NAME, self._folder, OLDER_NAME)
        self.close()
        self._descriptor = self._open()
        return self._descriptor

    def _newest_first(self) -> Iterator[AuditEntry]:
        for name in (FILE_NAME, OLDER_NAME):
            for line in reversed(self._lines(name)):
                with contextlib.suppress(ValidationError):  # cut off, or not ours
                    yield AuditEntry.model_validate_json(line)

    def _lines(self, name: str) -> list[bytes]:
        try:
            with Folder.at(self._data.resolve()) as folder:
                return folder.read(name, self._file_bytes + LINE_BYTES).splitlines()
        except OSError:
            return []


def _is_cut_off(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _entry(change: Change) -> AuditEntry:
    return AuditEntry(
        number=1,
        at=_now(),
        token=change.token,
        session=change.session,
        address=visible(change.address)[:NAME_MAX],
        action=change.action,
        target=None if change.target is None else visible(change.target[:LINE_MAX])[:LINE_MAX],
        status=change.status,
        request_id=change.request_id,
    )


def _sum(action: str, count: int, *, token: str | None = None, address: str = "") -> AuditEntry:
    shown = visible(address)[:NAME_MAX]
    return AuditEntry(number=1, at=_now(), token=token, address=shown, action=action, count=count)


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)

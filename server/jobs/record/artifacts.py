"""The artefacts of a program: what it left in `$OUTPUT`, as far as that can be kept, and what cannot be and why.

They are moved out of the program's folder into the job's record under names that every reader can take. Whatever is
there after that is files in folders, of bounded depth, number and size.
"""

import contextlib
import errno
import itertools
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from contract.filenames import escape_name, unescape_name
from contract.results import ArtifactInfo
from server.storage.trees import FULL, Folder

DEPTH_MAX = 32
FILES_MAX = 10_000
ENTRIES_MAX = 10 * FILES_MAX
"""What is looked at in all, so that very many links or pipes do not take the time of many files."""
NAME_MAX_BYTES = 255
PATH_MAX_BYTES = 1024
READABLE = 0o400

LINK = "links are not followed"
NO_FILE = "only files are kept: no pipes, sockets and devices"
DEEP = f"folders are kept to a depth of {DEPTH_MAX}"
LONG = f"a name may have {NAME_MAX_BYTES} bytes and a path {PATH_MAX_BYTES}, with what must be escaped in them"
MANY = f"the first {FILES_MAX} files are kept"
LARGE = "they are more bytes than the agent keeps of all jobs (--max-jobs-bytes)"
FAULTY = "they cannot be read"


@dataclass(frozen=True)
class Left:
    """What a program left, as far as it was kept."""

    artifacts: list[ArtifactInfo]
    notes: list[str]
    """What was not kept, and why."""
    stdout_bytes: int
    stderr_bytes: int


@dataclass
class _Budget:
    """What may still be kept, and what was left out by reason: how many, and the first of them."""

    files: int
    entries: int
    max_bytes: int
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def leave_out(self, reason: str, path: PurePosixPath) -> None:
        self.counts[reason] += 1
        self.first.setdefault(reason, str(path)[:PATH_MAX_BYTES])

    def notes(self) -> list[str]:
        return [f"{count} left out, such as {self.first[why]}: {why}" for why, count in self.counts.items()]


def collect(output: Folder, record: Folder, max_bytes: int) -> list[str]:
    """Move what a program left into a folder of the record; gives what was left out and why.

    Called again after it was cut off, it goes on. Raises OSError where the disk is full.
    """
    kept = list_artifacts(record)
    total = sum(each.size_bytes for each in kept)
    budget = _Budget(FILES_MAX - len(kept), ENTRIES_MAX, max_bytes - total)
    _move(output, record, PurePosixPath(), budget)
    return budget.notes()


def list_so_far(output: Folder, changed_since_s: float, max_bytes: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """Files of a program that still runs, as far as they would be kept: where each is, and its path as an artefact.

    Those that changed before `changed_since_s`, in seconds since the epoch by the agent's clock, are left out.
    """
    budget = _Budget(FILES_MAX, ENTRIES_MAX, max_bytes)
    return _so_far(output, (), PurePosixPath(), budget, changed_since_s)


def _so_far(
    folder: Folder, place: tuple[str, ...], path: PurePosixPath, budget: _Budget, since_s: float
) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, status in itertools.islice(folder.entries(), budget.entries):
        budget.entries -= 1
        there = path / escape_name(name)
        if _unfit(there, status, budget) is not None:
            continue
        if stat.S_ISDIR(status.st_mode):
            with contextlib.suppress(OSError), folder.folder(name) as inner:
                yield from _so_far(inner, (*place, name), there, budget, since_s)
        elif status.st_mtime >= since_s:
            budget.files -= 1
            budget.max_bytes -= status.st_size
            yield (*place, name), str(there)


def list_artifacts(record: Folder) -> list[ArtifactInfo]:
    """Files that were kept, by path."""
    return sorted(_listed(record, PurePosixPath(), DEPTH_MAX), key=lambda each: each.path)


def _listed(folder: Folder, path: PurePosixPath, levels: int) -> Iterator[ArtifactInfo]:
    for name, status in folder.entries():
        if escape_name(unescape_name(name)) != name:
            continue  # not put there by this agent
        if stat.S_ISREG(status.st_mode):
            yield ArtifactInfo(path=str(path / name), size_bytes=status.st_size)
        elif stat.S_ISDIR(status.st_mode) and levels:
            with contextlib.suppress(OSError), folder.folder(name) as inner:
                yield from _listed(inner, path / name, levels - 1)


def _move(source: Folder, target: Folder, path: PurePosixPath, budget: _Budget) -> None:
    found = list(itertools.islice(source.entries(), budget.entries + 1))
    if len(found) > budget.entries:
        budget.leave_out(MANY, path)
    budget.entries = max(0, budget.entries - len(found))
    for name, status in sorted(found, key=lambda each: os.fsencode(each[0])):
        _move_one(source, target, path / escape_name(name), name, status, budget)


def _move_one(
    source: Folder, target: Folder, path: PurePosixPath, name: str, status: os.stat_result, budget: _Budget
) -> None:
    reason = _unfit(path, status, budget)
    if reason is not None:
        budget.leave_out(reason, path)
        return
    try:
        if stat.S_ISDIR(status.st_mode):
            with source.entered(name) as inner, target.make(path.name) as made:
                _move(inner, made, path, budget)
            return
        source.grant(name, READABLE)
        source.move(name, target, path.name)
    except OSError as error:
        if error.errno in FULL:
            raise
        budget.leave_out(FAULTY if error.errno != errno.EXDEV else f"{FAULTY}: another file system", path)
        return
    budget.files -= 1
    budget.max_bytes -= status.st_size


def _unfit(path: PurePosixPath, status: os.stat_result, budget: _Budget) -> str | None:
    """Why something is not kept."""
    if stat.S_ISLNK(status.st_mode):
        return LINK
    if len(path.name.encode()) > NAME_MAX_BYTES or len(str(path).encode()) > PATH_MAX_BYTES:
        return LONG
    if stat.S_ISDIR(status.st_mode):
        return DEEP if len(path.parts) > DEPTH_MAX else None
    if not stat.S_ISREG(status.st_mode):
        return NO_FILE
    if budget.files <= 0:
        return MANY
    return LARGE if status.st_size > budget.max_bytes else None

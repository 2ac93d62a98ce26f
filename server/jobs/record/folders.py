"""Where the files of jobs lie: `jobs/ID` is what the agent keeps of one, `work/ID` is where its program works.

A program may do with its folder what it likes, and one that runs as the agent's own user with all others too. So
they are held by descriptors (server.storage.trees), and what is removed is moved to `trash` first, which is emptied
beside everything else.
"""

import contextlib
import logging
import os
import secrets
import threading
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from server.storage.trees import PRIVATE, Folder, bytes_in

log = logging.getLogger(__name__)

INPUTS_NAME = "inputs"
OUTPUT_NAME = "output"
WORK_NAME = "work"
FILE_MAX_BYTES = 1 << 30
"""No result and no journal is as large."""
RECORD_LEVELS = 64
"""More than artefacts have."""


class JobFolders:
    """The folders of all jobs under the agent's data folder."""

    def __init__(self, data: Path) -> None:
        """Make what is not there; raises OSError where a link or a file has the name of one of them."""
        self._path = data
        with Folder.at(data.resolve()) as base:
            self._records = _opened(base, data, "jobs")
            self._work = _opened(base, data, "work")
            self._trash = Trash(_opened(base, data, "trash"))

    def close(self) -> None:
        """Let go of them; what is in the trash goes at the next start."""
        self._trash.close()
        self._records.close()
        self._work.close()

    def path(self, job_id: str) -> Path:
        """Where the record of a job is, for its inputs: it is new, and nothing runs yet that could replace it."""
        return self._path / "jobs" / job_id

    def record(self, job_id: str) -> Folder:
        """What the agent keeps of a job; raises OSError when it is gone, or no folder any more."""
        return self._records.folder(job_id)

    def make_record(self, job_id: str) -> Folder:
        """The same, made anew where it is not what it was."""
        try:
            return self._records.make(job_id)
        except OSError:
            self._discard(self._records, job_id)
            return self._records.make(job_id)

    def work_path(self, job_id: str) -> Path:
        """Where a job's process works."""
        return self._path / "work" / job_id

    def make_work(self, job_id: str) -> Path:
        """An empty folder for a job's process, with one to work in and one for the artefacts of a program."""
        self._discard(self._work, job_id)
        with self._work.make(job_id) as made:
            for name in (WORK_NAME, OUTPUT_NAME):
                made.make(name).close()
        return self.work_path(job_id)

    @contextlib.contextmanager
    def output(self, job_id: str) -> Iterator[Folder]:
        """What a program left in `$OUTPUT`; raises OSError when there is no such folder any more."""
        with self._work.entered(job_id) as work, work.entered(OUTPUT_NAME) as output:
            yield output

    def open(self, job_id: str, name: str, flags: int = os.O_RDONLY) -> int | None:
        """A descriptor of a file of a record, None where there is none."""
        try:
            with self.record(job_id) as record:
                return record.open(name, flags)
        except OSError:
            return None

    def read(self, job_id: str, name: str) -> bytes | None:
        """A file of a record, None where there is none."""
        try:
            with self.record(job_id) as record:
                return record.read(name, FILE_MAX_BYTES)
        except OSError:
            return None

    @contextlib.contextmanager
    def artifacts(self, job_id: str) -> Iterator[Folder]:
        """The artefacts that were kept of a job; raises OSError where there are none."""
        with self.record(job_id) as record, record.folder(OUTPUT_NAME) as kept:
            yield kept

    def has_artifacts(self, job_id: str) -> bool:
        """Whether a program of a job could leave files."""
        return _opens(self.artifacts(job_id))

    def has_output(self, job_id: str) -> bool:
        """Whether a program has a folder for what it leaves."""
        return _opens(self.output(job_id))

    def size(self, job_id: str) -> int:
        """Bytes of a record."""
        try:
            with self.record(job_id) as record:
                return bytes_in(record, RECORD_LEVELS)
        except OSError:
            return 0

    def clear(self, job_id: str) -> None:
        """Remove what a run left, so that the next one begins afresh; the inputs of a job stay."""
        self.drop_work(job_id)
        with self.make_record(job_id) as record:
            for name in record.names():
                if name != INPUTS_NAME:
                    self._discard(record, name)

    def drop_work(self, job_id: str) -> None:
        """Remove a program's folder."""
        self._discard(self._work, job_id)

    def drop_from_record(self, job_id: str, name: str) -> None:
        """Remove something of a record."""
        with contextlib.suppress(OSError), self.record(job_id) as record:
            self._discard(record, name)

    def drop(self, job_id: str) -> None:
        """Remove all that there is of a job."""
        self.drop_work(job_id)
        self._discard(self._records, job_id)

    def remove_orphans(self, known: Collection[str], working: Collection[str]) -> None:
        """Remove what is of no job that is in the list, and what programs left that are not `working` any more."""
        for folder, names in ((self._records, known), (self._work, working)):
            for name in folder.names():
                if name not in names:
                    self._discard(folder, name)

    def empty_trash(self) -> None:
        """Remove what was dropped now, for its room is needed."""
        self._trash.empty()

    def _discard(self, folder: Folder, name: str) -> None:
        try:
            self._trash.take(folder, name)
        except FileNotFoundError:
            return
        except OSError as error:  # of another file system
            log.debug("%s is removed where it is: %s", name, error)
            with contextlib.suppress(OSError):
                folder.remove(name)


def _opens(folder: AbstractContextManager[Folder]) -> bool:
    try:
        with folder:
            return True
    except OSError:
        return False


class Trash:
    """A folder whose content is removed in a thread of its own: a large tree takes a while."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._filled = threading.Event()
        self._emptying = threading.Lock()
        self._ended = False
        self._stuck: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="trash", daemon=True)
        self._thread.start()
        self._filled.set()

    def take(self, folder: Folder, name: str) -> None:
        """Move something here; raises OSError."""
        folder.move(name, self._folder, secrets.token_hex(16))
        self._filled.set()

    def empty(self) -> None:
        """Remove all that is here. What does not go stays until the next start."""
        with self._emptying:
            for name in self._folder.names():
                if self._ended:
                    return
                try:
                    if name not in self._stuck:
                        self._folder.remove(name)
                except OSError as error:
                    self._stuck.add(name)
                    log.warning("something that a job left cannot be removed: %s", error)

    def close(self) -> None:
        """Stop soon: an item that is being removed stays open, for the process ends."""
        self._ended = True
        self._filled.set()

    def _run(self) -> None:
        while not self._ended:
            self._filled.wait()
            self._filled.clear()
            try:
                self.empty()
            except Exception:
                log.exception("the trash cannot be emptied now")


def _opened(base: Folder, data: Path, name: str) -> Folder:
    try:
        return base.make(name, PRIVATE)
    except OSError as error:
        path = data / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            detail = f"{path} is a link or a file: move it away, the agent removes what is in that folder"
            raise OSError(detail) from error
        raise

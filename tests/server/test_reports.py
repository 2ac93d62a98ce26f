"""What children report, and that closing it closes nothing of anybody else's."""

import os
import threading
from pathlib import Path

import uvloop

from server.jobs.record.journal import LINE_MAX_BYTES
from server.processes.reports import ChildReport

REPORTS = 2000


def test_a_report_is_read_to_its_end() -> None:
    """All that was written before the child closed its end."""

    async def read() -> bytes:
        with ChildReport() as report:
            os.write(report.theirs.fileno(), b"one\ntwo")
            reader = await report.reader(LINE_MAX_BYTES)
            return await reader.read()

    assert uvloop.run(read()) == b"one\ntwo"


def test_what_was_never_read_is_closed() -> None:
    """As when the child could not be started: no descriptor is left open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with ChildReport():
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_closing_one_closes_nothing_else() -> None:
    """Threads that open files all the time find each of them open until they close it themselves."""
    ended = threading.Event()
    faults: list[OSError] = []

    def open_files() -> None:
        while not ended.is_set():
            descriptor = os.open("/", os.O_RDONLY)
            try:
                os.close(descriptor)
            except OSError as error:
                faults.append(error)

    async def read() -> None:
        for _ in range(REPORTS):
            with ChildReport() as report:
                reader = await report.reader(LINE_MAX_BYTES)
                assert await reader.read() == b""

    threads = [threading.Thread(target=open_files) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        uvloop.run(read())
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert faults == []

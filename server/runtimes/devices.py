"""The devices of this machine as its runtimes see them, asked once when somebody wants to know."""

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from contract.devices import RuntimeDevice
from server.processes.children import child_command, child_settings, exit_text, kill_session

SURVEY_TIMEOUT_S = 60.0


class Devices:
    """Devices by runtime, kept for the agent's life; each runtime is asked in a process of its own. Thread-safe."""

    def __init__(self) -> None:
        self._found: dict[str, Sequence[RuntimeDevice]] = {}
        self._lock = threading.Lock()

    @property
    def known(self) -> Mapping[str, Sequence[RuntimeDevice]]:
        """What was found so far."""
        return self._found

    def of(self, runtimes: Sequence[str]) -> Mapping[str, Sequence[RuntimeDevice]]:
        """The devices of runtimes, in their order; takes a second the first time."""
        with self._lock:
            unknown = [name for name in runtimes if name not in self._found]
            if unknown:
                with ThreadPoolExecutor(len(unknown)) as threads:
                    self._found |= dict(zip(unknown, threads.map(_survey, unknown), strict=True))
        return {name: self._found[name] for name in runtimes}


def _survey(runtime: str) -> Sequence[RuntimeDevice]:
    """What a runtime says; one whose process crashes is left with the CPU."""
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb") as report:
        try:
            child = subprocess.Popen(
                child_command("server.runtimes.survey", write_fd, os.getpid(), runtime), **child_settings([write_fd])
            )
        finally:
            os.close(write_fd)
        try:
            code = child.wait(SURVEY_TIMEOUT_S)
            return [RuntimeDevice(**fields) for fields in json.loads(report.read() or b"null")]
        except subprocess.TimeoutExpired:
            return _processor_only(f"asking for its devices took longer than {SURVEY_TIMEOUT_S:g} s")
        except (ValueError, TypeError):
            return _processor_only(f"asking for its devices failed: the process {exit_text(code)}")
        finally:
            kill_session(child.pid)
            child.wait()


def _processor_only(why: str) -> Sequence[RuntimeDevice]:
    return [
        RuntimeDevice(name="CPU", available=True, detail="the CPU"),
        RuntimeDevice(name="GPU", available=False, detail=why),
    ]

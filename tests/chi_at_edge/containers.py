"""Containers without a container engine: folders that are mounted over real paths in a namespace of their own.

What runs in a pod sees /srv and /mnt as its own and the rest of this machine as it is. As on the testbed, a main
process that ends is started again, in a fresh copy of the image: files that were put there are gone.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MOUNTED = ("srv", "mnt")
NEW = ["unshare", "--user", "--map-root-user"]
SCRIPT = """
for name in srv mnt; do mount --bind "$0/$name" "/$name" || exit 213; done
cd / && { command -v "$1" >/dev/null || exit 214; } && exec "$@"
"""
WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""A pod does not outlive the service, even one that was killed."""
NOT_FOUND = 214
MARK = "POD_UUID"
RESTARTS_UNTIL_ERROR = 2
RESTART_PAUSE_S = 0.2
POLL_INTERVAL_S = 0.01


def namespaces_work() -> bool:
    """Whether this machine lets its users make user and mount namespaces."""
    try:
        command = [*NEW, "--mount", "mount", "--bind", "/srv", "/mnt"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@dataclass(frozen=True)
class Image:
    """What a pod starts from."""

    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]


def agent_image() -> Image:
    """An image that has the agent: the `server` command of this checkout."""
    return Image(("server",), {"PATH": f"{Path(sys.executable).parent}:{os.defpath}"})


def stock_image(folder: Path) -> Image:
    """A Python image without the agent. Libraries of this checkout stand in for a package index, which is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(os.path.realpath(sys.executable))} "$@"\n')
    python.chmod(0o755)
    libraries = next(entry for entry in sys.path if entry.endswith("site-packages"))
    return Image((), {"PATH": f"{folder}:{os.defpath}", "PYTHONPATH": libraries})


class Pod:
    """The files and processes of one container."""

    def __init__(
        self,
        uuid: str,
        folder: Path,
        image: Image,
        command: Sequence[str],
        environment: Mapping[str, str],
        address: str,
    ) -> None:
        self.uuid = uuid
        self.address = address
        """Where what runs in it should listen; the agent takes it from EDGERUN_HOST."""
        self.folder = folder
        self.log_path = folder / "log"
        self.failed = False
        """It ended and was started again too often."""
        self._command = [*command] or [*image.entrypoint]
        self._environment = {**image.environment, "HOME": "/srv", "EDGERUN_HOST": address, **environment, MARK: uuid}
        self._gone = False
        self._unfinished: list[subprocess.Popen[bytes]] = []
        # What is executed in a pod is in one user namespace, as in a container: each may look at the others.
        # It ends with us: nobody else holds the other end of what it reads.
        hold = [*NEW, "sh", "-c", "echo; read -r _"]
        self._holder = subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        self._holder.stdout.readline()
        self._fresh()

    def start(self) -> None:
        """Run the main process, again and again, until the pod is removed."""
        threading.Thread(target=self._supervise, name=f"pod {self.uuid}", daemon=True).start()

    def restart(self) -> None:
        """End all processes, as when the device loses power."""
        self._kill()

    def remove(self) -> None:
        """End all processes and delete the files."""
        self._gone = True
        self._kill()
        for process in self._unfinished:
            process.wait()
        self._holder.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, words: Sequence[str], timeout_s: float) -> tuple[str, int | None]:
        """Run a command; its output, and its exit code unless it took too long (then it goes on)."""
        scratch = self.folder / f"exec-{time.monotonic_ns()}"
        with scratch.open("wb") as output:
            process = self._spawn(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
            self._unfinished.append(process)
        text = scratch.read_text(errors="replace")
        scratch.unlink()
        if code == NOT_FOUND:
            return "Malformed command, or binary not found in container", -1
        return text, code

    def unpack(self, path: str, archive: bytes) -> None:
        """Unpack a tar at a path; what goes wrong is not said, as on the testbed."""
        process = self._spawn(["tar", "xmf", "-", "-C", path], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.communicate(archive)

    def pack(self, path: str) -> bytes:
        """A tar of a directory's contents, or of a file of that base name in the working directory."""
        script = 'if [ -d "$1" ]; then tar cf - -C "$1" .; else tar cf - "$(basename "$1")"; fi'
        words = ["sh", "-c", script, "sh", path]
        process = self._spawn(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return process.communicate()[0]

    def log(self, tail: int | None) -> str:
        """What the main process printed."""
        lines = self.log_path.read_text(errors="replace").splitlines(keepends=True) if self.log_path.exists() else []
        return "".join(lines[-tail:] if tail else lines)

    def _spawn(self, words: Sequence[str], **streams: object) -> subprocess.Popen[bytes]:
        namespace = f"--user=/proc/{self._holder.pid}/ns/user"
        enter = ["nsenter", namespace, "--preserve-credentials", "unshare", "--mount", "sh", "-c", SCRIPT]
        command = [*enter, str(self.folder / "root"), *words]
        return subprocess.Popen(command, env=self._environment, start_new_session=True, **streams)  # type: ignore[call-overload,no-any-return]

    def _supervise(self) -> None:
        restarts = 0
        while not self._gone:
            with self.log_path.open("ab") as log:
                process = self._spawn([*WITH_US, *self._command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            process.wait()
            restarts += 1
            self.failed = restarts > RESTARTS_UNTIL_ERROR
            time.sleep(RESTART_PAUSE_S)
            if not self._gone:
                self._kill()
                self._fresh()

    def _fresh(self) -> None:
        root = self.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        for name in MOUNTED:
            (root / name).mkdir(parents=True, exist_ok=True)

    def _kill(self) -> None:
        while found := self._processes():
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_INTERVAL_S)

    def _processes(self) -> list[int]:
        """Everything that descends from the pod's processes: they all inherited its mark."""
        mark = f"{MARK}={self.uuid}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

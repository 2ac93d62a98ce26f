"""An agent on this machine: a detached child process with a data folder of its own."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import psutil
from platformdirs import user_data_path

from provisioning import archives, extras
from provisioning.deployments import Deployment
from provisioning.errors import LeftBehind, ProvisioningError, nothing_there
from provisioning.programs import END, NO_SUCH_PROGRAM, SIGNALLED, VARIABLE, new_mark
from provisioning.provider import Report, Save, State, Status, agent_arguments

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
"""Longer than the agent takes at most to finish what runs."""
POLL_INTERVAL_S = 0.02
LOG_NAME = "agent.log"
OLDER_LOG_NAME = f"{LOG_NAME}.1"
"""Where the agent puts its log when it begins a new one."""
AGENT_FILE = "agent.json"


class LocalProvider:
    """Runs the `server` command that is installed beside this one."""

    kind = "local"

    def create(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Start the agent, or keep the one that runs."""
        resources = deployment.resources
        folder = user_data_path("edgerun") / "agents" / deployment.name
        if "folder" not in resources and folder.exists():
            hint = f"choose another --name; if nothing runs there any more, delete {folder}"
            raise ProvisioningError(f"{folder} is of another agent, which was not made from here", hint=hint)
        folder = Path(resources.setdefault("folder", str(folder)))
        save()
        if absent := [name for name in extras.modules(deployment.options) if find_spec(name) is None]:
            wanted = ",".join(deployment.options["with"])
            raise extras.missing(absent, f"{sys.executable} -m pip install -c constraints.txt 'edgerun[{wanted}]'")
        process = _running(resources)
        if process is None:
            if "pid" in resources:
                report(f"process {resources['pid']} is gone: starting the agent again")
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / AGENT_FILE).unlink(missing_ok=True)
            process = _start(deployment, folder)
        resources.update(pid=process.pid, started=process.create_time())
        save()
        deployment.url = _wait_until_it_listens(process, folder)

    def certificate(self, deployment: Deployment) -> str | None:
        """From the agent's data folder, which only its owner can read."""
        return (Path(deployment.resources["folder"]) / "tls" / "cert.pem").read_text()

    def status(self, deployment: Deployment) -> Status:
        """Whether the process that was started is still the one under that id."""
        resources = deployment.resources
        if process := _running(resources):
            return Status(State.RUNNING, f"process {process.pid}")
        if "pid" in resources:
            return Status(State.STOPPED, f"process {resources['pid']} is gone")
        exists = "folder" in resources and Path(resources["folder"]).exists()
        return Status(State.STOPPED, "never started") if exists else Status(State.ABSENT, "nothing is there")

    def logs(self, deployment: Deployment, tail: int) -> Iterator[str]:
        """The last lines of the log file and the one before it."""
        folder = Path(deployment.resources.get("folder", ""))
        lines: deque[str] = deque(maxlen=tail)
        for name in (OLDER_LOG_NAME, LOG_NAME):
            path = folder / name
            if path.is_file():
                with path.open(encoding="utf-8", errors="replace") as file:
                    lines.extend(line.rstrip("\n") for line in file)
        yield from lines

    def exec(self, deployment: Deployment, command: Sequence[str], out: BinaryIO, err: BinaryIO) -> int:
        """A child of this process."""
        folder = _existing_folder(deployment)
        environment = _environment(folder)
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
        program = shutil.which(command[0], path=environment["PATH"])
        if program is None:
            err.write(f"{command[0]}: no such program\n".encode())
            return NO_SUCH_PROGRAM
        mark = new_mark()
        child = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**environment, VARIABLE: mark},
            cwd=folder,
        )
        try:
            code = child.wait()
        except BaseException:
            subprocess.run(["sh", "-c", END, "sh", mark], check=False)
            raise
        return code if code >= 0 else SIGNALLED - code

    def push(self, deployment: Deployment, local: Path, remote: str) -> None:
        """A copy on this machine."""
        target = str(_existing_folder(deployment) / remote) + ("/" if remote.endswith("/") else "")
        parent, name = archives.landing(target, archives.own_name(local), is_folder=Path(target).is_dir())
        Path(parent).mkdir(parents=True, exist_ok=True)
        _copy(local, Path(parent) / name)

    def pull(self, deployment: Deployment, remote: str, local: Path) -> None:
        """A copy on this machine."""
        source = _existing_folder(deployment) / remote
        if not source.exists():
            raise ProvisioningError(f"{deployment.name} has no {remote}")
        _copy(source, local)

    def destroy(self, deployment: Deployment, save: Save, report: Report) -> None:
        """Stop the process, let it finish what runs, and delete its folder."""
        resources = deployment.resources
        if process := _running(resources):
            report(f"stopping process {process.pid}")
            _stop(process)
        if folder := resources.get("folder"):
            try:
                shutil.rmtree(folder, ignore_errors=False)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise LeftBehind(f"{folder} could not be removed: {error.strerror}") from error
        resources.clear()
        save()

    def remains(self, deployment: Deployment) -> list[str]:
        """Process and folder."""
        resources = deployment.resources
        process = _running(resources)
        folder = [f"folder {resources['folder']}"] if "folder" in resources else []
        return [f"process {process.pid}", *folder] if process else folder


def _existing_folder(deployment: Deployment) -> Path:
    folder = Path(deployment.resources.get("folder", ""))
    if not folder.is_absolute() or not folder.is_dir():
        raise nothing_there(deployment.name)
    return folder


def _copy(source: Path, target: Path) -> None:
    try:
        with tempfile.TemporaryFile() as archive:
            archives.pack(source, archives.own_name(source), archive)
            archives.unpack(archive, target)
    except OSError as error:
        raise ProvisioningError(f"{error.filename or source}: {error.strerror}") from error


def _start(deployment: Deployment, folder: Path) -> psutil.Process:
    command = Path(sys.executable).with_name("server")
    if not command.exists():
        hint = "install edgerun with its server extra into the same environment: pip install 'edgerun[server]'"
        raise ProvisioningError(f"there is no agent to start at {command}", hint=hint)
    environment, arguments = _environment(folder), _arguments(deployment)
    environment["EDGERUN_TOKEN_SHA256"] = hashlib.sha256(deployment.token.encode()).hexdigest()
    with (folder / LOG_NAME).open("ab") as log:
        child = subprocess.Popen(
            [str(command), "--data", str(folder), "--log-file", log.name, "--host", "127.0.0.1", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    return psutil.Process(child.pid)


def _arguments(deployment: Deployment) -> list[str]:
    return agent_arguments({"port": 0, **deployment.options})


def _environment(folder: Path) -> dict[str, str]:
    """This process's, less what is meant for other agents. ONNX Runtime leaves files in the cache folder."""
    passed_on = {name: value for name, value in os.environ.items() if not name.startswith("EDGERUN_")}
    return {**passed_on, "XDG_CACHE_HOME": str(folder / "cache")}


def _running(resources: dict[str, Any]) -> psutil.Process | None:
    """The process that was started, None when it ended, even if another one has its id by now."""
    try:
        process = psutil.Process(resources["pid"])
        same = process.create_time() == resources["started"]
        return process if same and _alive(process) else None
    except KeyError:
        return _found(resources.get("folder"))
    except psutil.NoSuchProcess:
        return None


def _found(folder: str | None) -> psutil.Process | None:
    """An agent on this data folder whose start was cut off before its id was noted."""
    if folder is None:
        return None
    for process in psutil.process_iter(["cmdline"]):
        if ("--data", folder) in pairwise(process.info["cmdline"] or ()) and _alive(process):
            return process
    return None


def _wait_until_it_listens(process: psutil.Process, folder: Path) -> str:
    """The agent's address, once it says that it listens; raises ProvisioningError with its last words."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            return str(json.loads((folder / AGENT_FILE).read_text())["url"])
        except (OSError, ValueError, KeyError):
            if not _alive(process):
                break
            time.sleep(POLL_INTERVAL_S)
    log = folder / LOG_NAME
    last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    raise ProvisioningError(f"the agent did not start: {last[0] if last else 'it said nothing'}")


def _stop(process: psutil.Process) -> None:
    for end in (process.terminate, process.kill):
        with contextlib.suppress(psutil.NoSuchProcess):
            end()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while _alive(process) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)
        if not _alive(process):
            return
    raise LeftBehind(f"process {process.pid} could not be ended")


def _alive(process: psutil.Process) -> bool:
    """A process that ended but that nobody has collected yet is not alive."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

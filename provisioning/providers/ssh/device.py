"""What runs on a device reached by SSH: sent to its Python as a script, so it needs nothing but the standard library.

Everything of a deployment is in one folder, whose file `owner` says which deployment it belongs to. Each function
returns a JSON document.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
POLL_INTERVAL_S = 0.02
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LOG_NAME = "agent.log"


def claim(folder: str, owner: str) -> dict[str, Any]:
    """Make the folder, unless it is another deployment's: that one is not touched."""
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _owner(where) is None:
        (where / f"owner.{owner}").write_text(owner)
        with contextlib.suppress(FileExistsError):  # another deployment was faster
            os.link(where / f"owner.{owner}", where / "owner")
        (where / f"owner.{owner}").unlink()
    if _owner(where) != owner:
        return {"taken": True}
    for name in ("data", "wheels"):
        (where / name).mkdir(exist_ok=True, mode=0o700)
    return {"taken": False}


def use_systemd(folder: str) -> dict[str, Any]:
    """Whether the user's systemd works and goes on without a login; that it may is arranged, and noted for `remove`."""
    if _systemctl("is-system-running").strip() not in ("running", "degraded"):
        return {"works": False}
    if not _lingers():
        (Path(folder) / "lingers").touch()
        subprocess.run(["loginctl", "enable-linger"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return {"works": _lingers()}


def install(folder: str, requirement: str, offline: bool) -> dict[str, Any]:
    """A virtual environment with what lies in `wheels`, and from the package index what does not."""
    where = Path(folder)
    shutil.rmtree(where / "venv", ignore_errors=True)
    python = str(where / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    pip += ["--only-binary=:all:", "--find-links", str(where / "wheels")]
    pip += ["--no-index"] if offline else ["--constraint", str(where / "wheels" / "constraints.txt")]
    for command in ([sys.executable, "-m", "venv", str(where / "venv")], [*pip, requirement]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            errors = [line for line in lines if "ERROR" in line or "rror:" in line] or lines
            return {"error": errors[0] if errors else f"{command[0]} ended with {done.returncode}"}
    shutil.rmtree(where / "wheels", ignore_errors=True)
    (where / "installed").write_text(requirement)
    return {}


def start(folder: str, arguments: list[str], environment: dict[str, str], port: int, unit: str) -> dict[str, Any]:
    """Start the agent, as a unit of the user's systemd when one is named; returns its port or an error."""
    data = Path(folder) / "data"
    if _running(Path(folder), unit) is None:
        (data / "agent.json").unlink(missing_ok=True)
        words = [f"{folder}/venv/bin/python", "-m", "server.cli", "--data", str(data)]
        words += ["--log-file", str(data / LOG_NAME)]
        words += [*arguments, "--port", str(_free_port(port))]
        if unit:
            _write_unit(unit, words, environment, data)
            for verb in (["daemon-reload"], ["enable", unit], ["restart", unit]):
                _systemctl(*verb)
        else:
            _detach(Path(folder), words, environment, data)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            return {"port": json.loads((data / "agent.json").read_text())["port"]}
        if not _running(Path(folder), unit):
            break
        time.sleep(POLL_INTERVAL_S)
    last = tail(folder, 1)["lines"]
    return {"error": last[0] if last else "it said nothing"}


def status(folder: str, owner: str, unit: str) -> dict[str, Any]:
    """Whether the folder is there and whether the process that was started is still the one under that id."""
    where = Path(folder) if folder else None
    exists = where is not None and _owner(where) == owner
    installed = exists and where is not None and (where / "installed").exists()
    return {
        "exists": exists,
        "installed": installed,
        "pid": _running(where, unit) if exists and where is not None else None,
    }


def tail(folder: str, lines: int) -> dict[str, Any]:
    """The end of the agent's log, which goes on in a new file when it is full."""
    last: deque[str] = deque(maxlen=lines)
    for name in (f"{LOG_NAME}.1", LOG_NAME):
        path = Path(folder) / "data" / name
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as file:
                last.extend(line.rstrip("\n") for line in file)
    return {"lines": list(last)}


def read(path: str) -> dict[str, Any]:
    """A text file."""
    return {"text": Path(path).read_text()}


def is_folder(path: str) -> dict[str, Any]:
    """Whether there is a folder, and whether there is anything."""
    return {"folder": Path(path).is_dir(), "exists": Path(path).exists()}


def make_folder(path: str) -> dict[str, Any]:
    """Make a folder and those above it."""
    Path(path).mkdir(parents=True, exist_ok=True)
    return {}


def execute(folder: str, command: list[str], marked: dict[str, str]) -> dict[str, Any]:
    """Become another program, in the agent's folder, with variables by which it is found again."""
    os.environ.update(marked)
    os.chdir(Path(folder) / "data")
    os.environ["XDG_CACHE_HOME"] = f"{folder}/data/cache"
    os.environ["PATH"] = f"{folder}/venv/bin:{os.environ.get('PATH', os.defpath)}"
    if shutil.which(command[0]) is None:
        print(f"{command[0]}: no such program", file=sys.stderr)
        sys.exit(127)
    os.execvp(command[0], command)


def holds(folder: str, owner: str) -> dict[str, Any]:
    """Whether something of the deployment is there: its folder, also one that nobody has claimed yet."""
    where = Path(folder)
    return {"holds": where.exists() and _owner(where) in (owner, None)}


def remove(folder: str, owner: str, unit: str) -> dict[str, Any]:
    """End what runs of the folder and delete it; another deployment's is left alone."""
    where = Path(folder)
    if not holds(folder, owner)["holds"]:
        return {}
    if unit:
        _systemctl("disable", "--now", unit)
        _unit_path(unit).unlink(missing_ok=True)
        _systemctl("daemon-reload")
        if (where / "lingers").exists():
            _let_end_with_the_login(where)
    if pid := _running(where, ""):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _wait_for_end([pid], STOP_TIMEOUT_S)
    for _ in range(3):
        for pid in _processes_of(where):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _wait_for_end(_processes_of(where), 5.0)
        shutil.rmtree(where, ignore_errors=True)
        if not where.exists():
            with contextlib.suppress(OSError):
                where.parent.rmdir()  # the folder for all deployments, when this was the last
            return {}
    return {"error": f"{folder} could not be removed"}


def _let_end_with_the_login(where: Path) -> None:
    """Undo what `use_systemd` arranged, unless another agent's unit needs it: then that one's removal does."""
    if not any(_unit_path("any").parent.glob("edgerun-*.service")):
        subprocess.run(["loginctl", "disable-linger"], capture_output=True, check=False)
        return
    for other in where.parent.iterdir():
        if other != where and _owner(other) is not None:
            (other / "lingers").touch()


def _owner(where: Path) -> str | None:
    try:
        return (where / "owner").read_text()
    except OSError:
        return None


def _free_port(wanted: int) -> int:
    """The wanted port, or any free one when none is wanted. The agent itself says when a wanted one is taken."""
    if wanted:
        return wanted
    with socket.create_server(("", 0)) as listener:
        return int(listener.getsockname()[1])


def _detach(where: Path, words: list[str], environment: dict[str, str], data: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EDGERUN_")}
    with (data / LOG_NAME).open("ab") as log:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**clean, **environment},
            cwd=data,
            start_new_session=True,
        )
    part = where / "process.part"
    part.write_text(json.dumps({"pid": child.pid, "started": _started(child.pid), "boot": BOOT_ID.read_text()}))
    part.replace(where / "process")


def _running(where: Path, unit: str) -> int | None:
    """The agent's process, None when it ended, even if another one has its id by now."""
    if unit:
        shown = _systemctl("show", "--property=MainPID", "--value", unit).strip()
        return int(shown) if shown.isdecimal() and int(shown) else None
    try:
        noted = json.loads((where / "process").read_text())
    except (OSError, ValueError):
        return None
    same = noted["boot"] == BOOT_ID.read_text() and noted["started"] == _started(noted["pid"])
    return int(noted["pid"]) if same and noted["started"] is not None else None


def _started(pid: int) -> int | None:
    """When a process started, in ticks since boot; None when it is gone or waits to be collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _processes_of(where: Path) -> list[int]:
    """Processes that run a program of the folder's environment: agent, workers, an unfinished installation."""
    environment, found = f"{where}/venv", []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
                ours = words[0].startswith(f"{environment}/") or words[1:] == ["-m", "venv", environment]
                if ours and entry.stat().st_uid == os.getuid() and _started(int(entry.name)) is not None:
                    found.append(int(entry.name))
    return found


def _wait_for_end(pids: list[int], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while any(_started(pid) is not None for pid in pids) and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)


def _systemctl(*arguments: str) -> str:
    runtime = f"/run/user/{os.getuid()}"
    environment = {"XDG_RUNTIME_DIR": runtime} if Path(runtime).is_dir() else {}
    command = ["systemctl", "--user", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env={**environment, **os.environ}, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout


def _lingers() -> bool:
    command = ["loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "yes"


def _unit_path(unit: str) -> Path:
    return Path.home() / ".config" / "systemd" / "user" / unit


def _write_unit(unit: str, words: list[str], environment: dict[str, str], data: Path) -> None:
    path = _unit_path(unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    quoted = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"' for word in words)
    lines = ["[Unit]", "Description=edgerun agent", "[Service]", f"ExecStart={quoted}", f"WorkingDirectory={data}"]
    lines += [f'Environment="{name}={value}"' for name, value in environment.items()]
    lines += [f"StandardOutput=append:{data}/{LOG_NAME}", f"StandardError=append:{data}/{LOG_NAME}"]
    lines += ["Restart=on-failure", "TimeoutStopSec=40", "[Install]", "WantedBy=default.target", ""]
    path.touch(mode=0o600)
    path.write_text("\n".join(lines))

"""A device reached by SSH: Debian's sshd on loopback, for a user without rights and with a fresh home folder.

The user exists only for this sshd, which runs in a mount namespace with a user list of its own, so nothing of the
machine is changed. It needs root; the user it lets in is not.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest
from filelock import FileLock

from tests.agents import wait_for

USER = "board"
USER_ID = 42420
ALONE = FileLock(Path(tempfile.gettempdir()) / "edgerun-test-device.lock")
"""Held by the tests that own the user's processes: another run's would be killed with them."""
SSHD = "/usr/sbin/sshd"
TOOLS = (
    *("sh", "uname", "df", "awk", "getconf", "cat", "tr", "timeout", "sleep", "grep"),
    *("tar", "gzip", "sha256sum", "mkdir", "mv", "rm", "rmdir", "dirname"),
)


OLD_PYTHON = 'case "$2" in *join*) echo 3.8.10;; *) exit 1;; esac'
"""A script that says what a Python says that is too old, for `tools`."""


@dataclass
class Device:
    """A running sshd, who may log in, and the home folder there."""

    port: int
    home: Path
    key: Path
    known_hosts: Path
    log: Path

    @property
    def on(self) -> tuple[str, ...]:
        """The options of `provision up` for it."""
        place = f"ssh://{USER}@127.0.0.1:{self.port}"
        return ("--on", place, "--ssh-key", str(self.key), "--known-hosts", str(self.known_hosts))

    def entry(self, alias: str, *lines: str) -> str:
        """Lines of ~/.ssh/config by which an alias leads to it, after others of the same alias."""
        own = ("HostName 127.0.0.1", f"Port {self.port}", f"User {USER}", f"IdentityFile {self.key}")
        return "\n  ".join((f"Host {alias}", *lines, *own, f"UserKnownHostsFile {self.known_hosts}")) + "\n"

    def end_logins(self) -> None:
        """End every login, as a broken network would."""
        for process in _processes():
            if process not in self.processes():
                with suppress(psutil.NoSuchProcess):  # one ends with another
                    process.kill()

    def kill_agent(self) -> None:
        """End the agent as a crash would."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):  # a worker ends with its agent
                if "server.cli" in process.cmdline():
                    process.kill()

    def processes(self) -> list[psutil.Process]:
        """What runs as the device's user, less its login."""
        return [process for process in _processes() if not process.info["name"].startswith("sshd")]

    def cut(self) -> None:
        """End every login at once, as when the line is cut."""
        for process in psutil.process_iter(["name", "cmdline"]):
            if process.info["name"].startswith("sshd") and f"sshd: {USER}" in " ".join(process.info["cmdline"] or ()):
                process.kill()

    def leftovers(self) -> list[str]:
        """Files in its home folder."""
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*"))


def _processes() -> list[psutil.Process]:
    every = psutil.process_iter(["uids", "name", "status"])
    return [p for p in every if p.info["uids"].real == USER_ID and p.info["status"] != psutil.STATUS_ZOMBIE]


def require_sshd() -> None:
    """Skip the test where such a device cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("a device of its own for SSH needs root: run the tests in a container")
    if not Path(SSHD).exists():
        pytest.skip("no sshd: `scripts/setup dev` as root installs Debian's openssh-server")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")


@contextmanager
def device(
    *,
    path: str | None = None,
    disk: str | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    **variables: str,
) -> Iterator[Device]:
    """A device with a search path, a size of its home folder, such as `20m`, settings of its sshd, and variables of its
    users."""
    require_sshd()
    with ALONE:
        yield from _device(path, disk, settings, variables)


def lay_out() -> Device:
    """A device's home and keys, in a new folder; its sshd is still to be started."""
    folder = Path(tempfile.mkdtemp(prefix="edgerun-device-"))
    folder.chmod(0o755)
    made = Device(free_port(), folder / "home", folder / "key", folder / "known_hosts", folder / "sshd.log")
    made.home.mkdir()
    os.chown(made.home, USER_ID, USER_ID)
    for name in ("key", "host_key"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True)
    (folder / "authorized").write_text(Path(f"{made.key}.pub").read_text())
    show_key(made)
    return made


def clear_away(made: Device) -> None:
    """Kill what runs as the device's user and delete its folder."""
    for process in _processes():
        process.kill()
    shutil.rmtree(made.home.parent, ignore_errors=True)


def _device(
    path: str | None, disk: str | None, settings: Mapping[str, str], variables: dict[str, str]
) -> Iterator[Device]:
    made = lay_out()
    variables |= {"PATH": path} if path else {}
    script = _script(made, variables, settings, disk)
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script]
    Path("/run/sshd").mkdir(exist_ok=True)
    sshd = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: "Server listening" in (made.log.read_text() if made.log.exists() else ""))
        yield made
    finally:
        sshd.terminate()
        sshd.wait(timeout=60)
        clear_away(made)


def show_key(made: Device, key: Path | None = None) -> None:
    """Enter a host key, the device's own unless another is given, into the file of trusted ones."""
    kind, value, *_ = Path(f"{key or made.key.with_name('host_key')}.pub").read_text().split()
    made.known_hosts.write_text(f"[127.0.0.1]:{made.port} {kind} {value}\n")


def tools(folder: Path, python: str | None = None, **scripts: str) -> str:
    """A search path with the plain tools, and shell scripts in the place of `python3`, if it is given, and others."""
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name, path="/usr/bin:/bin")
        assert found
        (folder / name).symlink_to(found)
    for name, script in {**({} if python is None else {"python3": python}), **scripts}.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def user_files(made: Device) -> dict[str, Path]:
    """The machine's lists of users with the device's in them, by the name of the file in /etc."""
    entries = {
        "passwd": f"{USER}:x:{USER_ID}:{USER_ID}::{made.home}:/bin/sh\n",
        "group": f"{USER}:x:{USER_ID}:\n",
        "shadow": f"{USER}:*:19000:0:99999:7:::\n",
    }
    for name, entry in entries.items():
        (made.home.parent / name).write_text((Path("/etc") / name).read_text() + entry)
    return {name: made.home.parent / name for name in entries}


def configuration(
    made: Device,
    *,
    settings: Mapping[str, str] = MappingProxyType({}),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """A file for sshd that lets nobody in but the device's user, with its key."""
    folder = made.home.parent
    config = {
        "Port": made.port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "authorized",
        "AllowUsers": USER,
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PidFile": "none",
        **settings,
    }
    if variables:
        config["SetEnv"] = " ".join(f"{name}={value}" for name, value in variables.items())
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in config.items()))
    return folder / "config"


def _script(made: Device, variables: Mapping[str, str], settings: Mapping[str, str], disk: str | None) -> str:
    lines = [f"mount --bind {path} /etc/{name}" for name, path in user_files(made).items()]
    if disk:
        lines.append(f"mount -t tmpfs -o size={disk},uid={USER_ID},mode=700 none {made.home}")
    return "\n".join(
        [*lines, f"exec {SSHD} -D -f {configuration(made, variables=variables, settings=settings)} -E {made.log}"]
    )


def free_port() -> int:
    """A port of this machine that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])

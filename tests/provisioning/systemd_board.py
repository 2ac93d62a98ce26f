"""A board with systemd as PID 1: this machine's own system, booted by systemd-nspawn in a copy that nobody keeps.

Only what logins and users' services need is started there. The network is the machine's, so its sshd is on loopback.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.agents import wait_for
from tests.provisioning import sshd
from tests.provisioning.sshd import Device

BOOT_TIMEOUT_S = 180
ASKS_FOR_A_START = 133
"""What systemd-nspawn ends with when its system reboots."""
NSPAWN = (
    *("systemd-nspawn", "--quiet", "--volatile=overlay", "--boot", "--console=pipe"),
    *("--register=no", "--keep-unit", "--machine=edgerun-test"),
)
TARGET = """[Unit]
Requires=basic.target dbus.socket systemd-logind.service systemd-user-sessions.service edgerun-sshd.service
After=basic.target
AllowIsolate=yes
"""
SERVICE = """[Unit]
After=systemd-user-sessions.service
[Service]
RuntimeDirectory=sshd
ExecStart={sshd} -D -f {config} -E {log}
KillMode=process
"""
LOGIND = "[Login]\nUserStopDelaySec=0\n"
"""What a user runs ends with the last login at once, unless it lingers."""


class Board:
    """A board that can be booted."""

    def __init__(self, device: Device, lingering: Path, command: list[str]) -> None:
        self.device = device
        self.lingering = lingering
        """The folder in which systemd notes who lingers."""
        self._command = command
        self._nspawn: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start it; skips the test where that does not work."""
        console = self.device.home.parent / "console"
        self.device.log.unlink(missing_ok=True)
        with console.open("wb") as said:
            nspawn = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self._nspawn = nspawn
        wait_for(lambda: nspawn.poll() is not None or self._lets_in(), BOOT_TIMEOUT_S)
        if nspawn.poll() is not None:
            pytest.skip(f"systemd does not boot here: {console.read_text(errors='replace')[-500:]}")

    def reboot(self) -> None:
        """Restart it in order, without logging in."""
        self._init().send_signal(signal.SIGINT)  # as the kernel does for Ctrl-Alt-Del
        assert self._nspawn is not None
        assert self._nspawn.wait(BOOT_TIMEOUT_S) == ASKS_FOR_A_START
        self.boot()

    def halt(self) -> None:
        """Shut it down."""
        if self._nspawn is not None:
            self._nspawn.terminate()
            self._nspawn.wait(BOOT_TIMEOUT_S)

    def logins(self) -> list[psutil.Process]:
        """The processes of logins that are open."""
        inside = self._init().children(recursive=True)
        return [each for each in inside if each.name() == "sshd" and each.uids().real == sshd.USER_ID]

    def _init(self) -> psutil.Process:
        assert self._nspawn is not None
        (init,) = psutil.Process(self._nspawn.pid).children()
        return init

    def _lets_in(self) -> bool:
        return self.device.log.exists() and "Server listening" in self.device.log.read_text()


@contextmanager
def board() -> Iterator[Board]:
    """A booted one; skips the test where that cannot be had."""
    sshd.require_sshd()
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("no systemd-nspawn: on Debian apt-get install systemd-container")
    if "pam_systemd.so" not in Path("/etc/pam.d/common-session").read_text():
        pytest.skip("logins here start no user's systemd: apt-get install libpam-systemd dbus-user-session")
    with sshd.ALONE:
        device = sshd.lay_out()
        try:
            yield from _boot(device)
        finally:
            sshd.clear_away(device)


def _boot(device: Device) -> Iterator[Board]:
    folder = device.home.parent
    (root := folder / "root").mkdir()
    (lingering := folder / "linger").mkdir()
    config = sshd.configuration(device, settings={"UsePAM": "yes"})
    files = {
        "/etc/systemd/system/edgerun-test.target": TARGET,
        "/etc/systemd/system/edgerun-sshd.service": SERVICE.format(sshd=sshd.SSHD, config=config, log=device.log),
        "/etc/systemd/logind.conf.d/edgerun.conf": LOGIND,
    }
    binds = [f"--bind-ro={path}:/etc/{name}" for name, path in sshd.user_files(device).items()]
    for where, text in files.items():
        (folder / Path(where).name).write_text(text)
        binds.append(f"--bind-ro={folder / Path(where).name}:{where}")
    binds += [f"--bind={lingering}:/var/lib/systemd/linger", f"--bind={folder}"]
    words = [*NSPAWN, f"--directory={root}", *binds, "--", "systemd.unit=edgerun-test.target"]
    script = f'mount --bind / {root}; exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "sh", *words]
    made = Board(device, lingering, command)
    try:
        made.boot()
        yield made
    finally:
        made.halt()

"""What can be wrong with a device reached by SSH: each is said in a line, and nothing is left."""

import io
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from client.errors import Unreachable
from client.sdk.account import Account
from provisioning.providers.ssh.connection import connected
from tests.home import Home
from tests.provisioning import sshd


@pytest.fixture
def user(tmp_path: Path) -> Home:
    return Home(tmp_path)


def up(user: Home, device: sshd.Device, *options: str) -> tuple[int, str]:
    """Exit code and complaint of an `up` that fails; nothing may be left of it, here or there."""
    done = user.provision("up", *device.on, "--name", "pi4", "--model", "none", *options)
    assert "Traceback" not in done.stderr
    assert not list((user.folder / "state").rglob("*.json"))
    assert user.hosts.hosts() == {}
    assert device.leftovers() == []
    return done.returncode, done.stderr


def new_key(folder: Path) -> Path:
    """A key that the device has never seen."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "other")], check=True)
    return folder / "other"


def test_an_unknown_host_key_is_refused_with_the_line_to_type(user: Home) -> None:
    """Nothing is sent to a device that nobody vouched for."""
    with sshd.device() as device:
        device.known_hosts.write_text("")
        code, said = up(user, device)
        assert (code, f"ssh-keyscan -p {device.port} 127.0.0.1 >> {device.known_hosts}" in said) == (4, True), said


def test_a_changed_host_key_is_refused(user: Home, tmp_path: Path) -> None:
    """Another device at the same address is an error of trust."""
    with sshd.device() as device:
        sshd.show_key(device, new_key(tmp_path))
        code, said = up(user, device)
        assert (code, "another host key" in said, "ssh-keygen -R" in said) == (4, True, True), said


def test_a_wrong_key_is_refused(user: Home, tmp_path: Path) -> None:
    """The device does not let us in, and the line says how to change that."""
    with sshd.device() as device:
        device.key = new_key(tmp_path)
        code, said = up(user, device)
        assert (code, "does not accept any key" in said, "ssh-copy-id" in said) == (4, True, True), said


def test_nobody_answers(user: Home) -> None:
    """A device that is off is unreachable, which has its own exit code."""
    with sshd.device() as device:
        device.port = 1
        code, said = up(user, device)
        assert (code, "cannot be reached" in said) == (3, True), said


@pytest.mark.parametrize(
    ("python", "complaint"),
    [
        (None, "it has no Python"),
        ('case "$2" in *join*) echo 3.9.2;; *) exit 1;; esac', "its Python is 3.9.2, and 3.11 or newer is needed"),
        ('case "$2" in *ensurepip*) exit 1;; *) echo 3.11.9;; esac', "cannot make virtual environments"),
    ],
)
def test_a_device_without_a_usable_python_is_refused(
    user: Home, tmp_path: Path, python: str | None, complaint: str
) -> None:
    """Missing, too old, or without venv: said before anything is made."""
    tmp = Path(tempfile.mkdtemp(prefix="edgerun-tools-"))
    tmp.chmod(0o755)
    try:
        with sshd.device(path=sshd.tools(tmp / "bin", python)) as device:
            code, said = up(user, device)
            assert (code, complaint in said) == (1, True), said
    finally:
        shutil.rmtree(tmp)


class CutUpload(io.RawIOBase):
    """Endless bytes, and a line that is cut after ten megabytes of them."""

    def __init__(self, device: sshd.Device) -> None:
        self._device = device
        self._reads = 0

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads == 40:
            self._device.cut()
        return bytes(size)


def test_a_line_that_is_cut_during_an_upload_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is an error of its own, not the end of our output's reader, and asyncio adds no line for every packet."""
    with sshd.device() as device:
        account = Account(f"{sshd.USER}@127.0.0.1:{device.port}", str(device.key), str(device.known_hosts))
        with connected(account) as connection, pytest.raises(Unreachable, match="ended while a program ran there"):
            upload = cast(BinaryIO, CutUpload(device))
            connection.run("cat >/dev/null", upload, io.BytesIO(), io.BytesIO())
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_a_full_device_is_refused(user: Home) -> None:
    """Space is looked at before anything large is sent."""
    with sshd.device(disk="20m") as device:
        code, said = up(user, device)
        assert (code, "no space on the device" in said) == (1, True), said


def without_index(device: sshd.Device) -> None:
    """Point the device's pip at nothing."""
    config = device.home / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text("[global]\nindex-url = http://127.0.0.1:9/simple\nretries = 0\n")


def test_a_device_that_died_can_be_forgotten(user: Home) -> None:
    """`down` cannot reach it and says how to go on; `--forget` says what would still be on its disk."""
    with sshd.device() as device:
        without_index(device)
        kept = user.provision("up", *device.on, "--name", "pi4", "--model", "none", "--keep")
        assert kept.returncode == 1, kept.stderr
        folder = str(device.home / ".edgerun" / "pi4")
    down = user.provision("down", "pi4")
    assert (down.returncode, "provision down pi4 --forget" in down.stderr) == (1, True), down.stderr
    forgotten = user.provision("down", "pi4", "--forget")
    assert (forgotten.returncode, f"may still be there: {folder}" in forgotten.stderr) == (0, True), forgotten.stderr
    assert user.provision("list", "-o", "csv").stdout.strip() == ""


def test_without_an_index_up_says_so_and_is_undone(user: Home) -> None:
    """Without --offline a device that reaches no package index fails with pip's reason."""
    with sshd.device() as device:
        without_index(device)
        done = user.provision("up", *device.on, "--name", "pi4", "--model", "none")
        assert (done.returncode, "install failed on the device" in done.stderr) == (1, True), done.stderr
        assert "--offline" in done.stderr
        assert device.leftovers() == [".config", ".config/pip", ".config/pip/pip.conf"]

"""`--ssh-key` on CHI@Edge: the real ssh and scp, into a container that has no sshd."""

import hashlib
import shlex
import subprocess
from pathlib import Path

from tests.chi_at_edge.state import Testbed
from tests.home import Home, Result
from tests.provisioning.test_chi_up import NOTHING, UP, down, up


def test_a_key_lets_its_owner_log_in(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """The line that `up` prints gives programs, a terminal and files; nobody else gets in, and `down` forgets it."""
    key, other = (_new_key(tmp_path / name) for name in ("key", "other"))
    line = next(line for line in up(student, "--ssh-key", str(key)).stderr.splitlines() if "log in with: " in line)
    ssh = [*shlex.split(line.partition("log in with: ")[2]), "-o", "BatchMode=yes"]
    ran = _ssh(student, [*ssh, "cat; echo wrong >&2; exit 3"], "given")
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "given", "wrong\n")
    shell = _ssh(student, [ssh[0], "-tt", *ssh[1:]], "tty\nexit 5\n")
    assert (shell.returncode, "/dev/pts/" in shell.stdout) == (5, True), shell
    (tmp_path / "sent").write_bytes(bytes(range(256)) * 1000)
    *options, place = ssh[1:-2]
    options[options.index("-p")] = "-P"
    copied = _ssh(student, ["scp", *options, str(tmp_path / "sent"), f"{place}:/srv/there"])
    assert copied.returncode == 0, copied.stderr
    assert student.provision("exec", "edge1", "--", "sha256sum", "/srv/there").stdout.startswith(
        hashlib.sha256((tmp_path / "sent").read_bytes()).hexdigest()
    )
    refused = _ssh(student, [other if word == ssh[ssh.index("-i") + 1] else word for word in [*ssh, "true"]])
    assert (refused.returncode, "Permission denied" in refused.stderr) == (255, True), refused.stderr
    down(student)
    assert testbed.left() == NOTHING
    assert not list((student.folder / "state" / "edgerun" / "known_hosts").iterdir())


def test_a_key_without_its_public_half_is_refused(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """Before anything is made, with the line that makes it."""
    (tmp_path / "key").touch()
    done = student.provision(*UP, "--ssh-key", str(tmp_path / "key"))
    assert (done.returncode, f"ssh-keygen -y -f {tmp_path / 'key'}" in done.stderr) == (1, True), done.stderr
    assert not testbed.calls("zun.create")


def _new_key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return str(path)


def _ssh(student: Home, command: list[str], stdin: str = "") -> Result:
    return subprocess.run(
        command, cwd=student.folder, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )

"""Ways to a device that fail at a hop: each is said in a line that names the hop, and nothing is left."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from client.errors import EdgeError
from client.sdk.account import Account
from client.sdk.hosts import Host
from provisioning.deployments import Deployment
from provisioning.readiness import wait_until_ready
from server.http.tls import ensure_certificate
from tests.agents import wait_for
from tests.home import Home
from tests.provisioning import sshd


@pytest.fixture
def user(tmp_path: Path) -> Home:
    return Home(tmp_path)


def up(user: Home, on: str, *options: str) -> tuple[int, str]:
    """Exit code and complaint of an `up` that fails; nothing may be left of it here."""
    done = user.provision("up", "--on", on, "--name", "pi4", "--model", "none", *options)
    assert "Traceback" not in done.stderr
    assert not list((user.folder / "state").rglob("*.json"))
    assert user.hosts.hosts() == {}
    return done.returncode, done.stderr


def test_a_jump_host_that_refuses_the_key_is_named(user: Home) -> None:
    """The hint says where its key belongs, which is not --ssh-key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(user.folder / "other")], check=True)
    with sshd.device() as device:
        wrong = device.entry("hop", f"IdentityFile {user.folder / 'other'}").replace(f"IdentityFile {device.key}", "")
        user.writes(".ssh/config", device.entry("behind", "ProxyJump hop") + wrong)
        code, said = up(user, "ssh://behind")
        assert (code, "the jump host hop does not accept any key" in said, "Host hop" in said) == (4, True, True), said
        assert device.leftovers() == []


def test_an_unknown_host_key_of_a_jump_host_is_named(user: Home) -> None:
    """Nothing is sent through a host that nobody vouched for."""
    user.writes("nobody", "")
    with sshd.device() as device:
        hop = device.entry("hop").replace(str(device.known_hosts), str(user.folder / "nobody"))
        user.writes(".ssh/config", device.entry("behind", "ProxyJump hop") + hop)
        code, said = up(user, "ssh://behind")
        assert (code, "of the jump host hop is not in" in said) == (4, True), said
        assert f"ssh-keyscan -p {device.port} 127.0.0.1 >> {user.folder / 'nobody'}" in said


def test_an_unknown_host_key_behind_a_jump_host_is_not_scanned_for(user: Home) -> None:
    """ssh-keyscan jumps nowhere: the hint is a line that goes the same way."""
    user.writes("nobody", "")
    with sshd.device() as device:
        behind = device.entry("behind", "ProxyJump hop").replace(str(device.known_hosts), str(user.folder / "nobody"))
        user.writes(".ssh/config", behind + device.entry("hop"))
        code, said = up(user, "ssh://behind")
        assert (code, f"ssh -o UserKnownHostsFile={user.folder / 'nobody'} ssh://behind" in said) == (4, True), said


@pytest.mark.parametrize(
    ("way", "complaint"),
    [
        ("ProxyJump nowhere.invalid", "the jump host nowhere.invalid cannot be reached"),
        ("ProxyJump 127.0.0.1:1", "the jump host 127.0.0.1:1 cannot be reached"),
        ("ProxyJump hop,127.0.0.1:1", "the jump host 127.0.0.1:1 cannot be reached through the jump host hop"),
        (
            "ProxyCommand sh -c 'echo no route today >&2; exit 3'",
            "ProxyCommand for behind failed: it ended with 3: no rou",
        ),
        ("ProxyCommand no-such-program %h", "ProxyCommand for behind failed: it ended with 127"),
        ("ProxyCommand true", "ProxyCommand for behind failed: it ended with 0"),
    ],
)
def test_a_hop_that_cannot_be_reached_is_named(user: Home, way: str, complaint: str) -> None:
    """Names that do not resolve, ports that nobody has, programs that fail: unreachable, and which one."""
    with sshd.device() as device:
        user.writes(".ssh/config", device.entry("behind", way) + device.entry("hop"))
        code, said = up(user, "ssh://behind")
        assert (code, complaint in said) == (3, True), said


def test_a_device_that_its_jump_host_does_not_reach_is_named(user: Home) -> None:
    """The jump host let us in, and nobody is behind it."""
    with sshd.device() as device:
        behind = device.entry("behind", "ProxyJump hop").replace(f"Port {device.port}", "Port 1")
        user.writes(".ssh/config", behind + device.entry("hop"))
        code, said = up(user, "ssh://behind")
        assert (code, "behind cannot be reached through the jump host hop" in said) == (3, True), said


def test_jump_hosts_in_a_circle_are_refused(user: Home) -> None:
    """`Host *` with a ProxyJump means the jump host too."""
    user.writes(".ssh/config", "Host *\n  ProxyJump hop\n")
    code, said = up(user, "ssh://behind")
    assert (code, "in a circle at hop" in said, "ProxyJump none" in said) == (1, True, True), said


def test_a_proxy_command_that_hangs_is_ended(user: Home, tmp_path: Path) -> None:
    """Interrupting what waits for it ends it too."""
    mark = f"60{tmp_path.stat().st_ino}"
    user.writes(".ssh/config", f"Host behind\n  ProxyCommand sleep {mark}\n")
    code, said = up(user, "ssh://behind")
    assert (code, "behind (through its ProxyCommand) did not answer" in said) == (3, True), said
    assert [each for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or ())] == []


def test_a_client_that_is_interrupted_leaves_no_proxy_command(user: Home, tmp_path: Path) -> None:
    """Ctrl-C while the tunnel is opened ends what would have carried it."""
    mark = f"61{tmp_path.stat().st_ino}"
    user.writes(".ssh/config", f"Host behind\n  ProxyCommand sleep {mark}\n")
    pem = ensure_certificate(tmp_path / "tls").certificate_path.read_text()
    user.hosts.put(Host("pi4", "https://behind:8080", pem, "secret", tunnel=Account("behind")))

    def running() -> list[psutil.Process]:
        return [each for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or ())]

    for words in (("hosts", "test", "pi4"), ("telemetry", "--host", "pi4")):
        command = [str(Path(sys.executable).with_name("client")), *words]
        with subprocess.Popen(command, env=user.environment, stderr=subprocess.DEVNULL) as client:
            wait_for(running)
            client.send_signal(signal.SIGINT)
            assert client.wait(timeout=60) == 130
        assert running() == []


def test_a_device_that_lets_no_tunnel_through_is_refused_before_anything_is_made(user: Home) -> None:
    """An agent that nobody could reach is not installed."""
    with sshd.device(settings={"AllowTcpForwarding": "no"}) as device:
        code, said = up(user, device.on[1], *device.on[2:], "--tunnel")
        assert (code, "lets no tunnel through" in said, "AllowTcpForwarding" in said) == (4, True, True), said
        assert device.leftovers() == []


@pytest.mark.parametrize(("kind", "hinted"), [("ssh", True), ("local", False)])
def test_an_agent_behind_a_firewall_is_hinted_at_the_tunnel(
    monkeypatch: pytest.MonkeyPatch, kind: str, hinted: bool
) -> None:
    """It runs and cannot be reached from here: where there is a way by SSH, the error says so."""
    monkeypatch.setattr("provisioning.readiness.READY_TIMEOUT_S", 0)
    made = Deployment("pi4", kind, {}, "secret")
    with pytest.raises(EdgeError, match="not ready in time") as caught:
        wait_until_ready(made, lambda: Host("pi4", "http://127.0.0.1:1"))
    assert ("--tunnel" in (caught.value.hint or "")) == hinted


@pytest.mark.parametrize(
    ("place", "parts"),
    [
        ("pi@Board-1.lan:2222", ("pi", "Board-1.lan", 2222)),
        ("Board_2", (None, "Board_2", None)),
        ("student@uni.example@gate", ("student@uni.example", "gate", None)),
        ("pi@[fe80::1%eth0]:22", ("pi", "fe80::1%eth0", 22)),
    ],
)
def test_a_place_keeps_its_letters(place: str, parts: tuple[str | None, str, int | None]) -> None:
    """An alias of ~/.ssh/config is found in the case in which it was written."""
    assert Account(place).parts == parts


@pytest.mark.parametrize("place", ["", "-oProxyCommand=x", "pi@", "pi@board:0", "pi@board:99999", "board/x", "pi@::1"])
def test_what_is_no_place_is_refused(place: str) -> None:
    """Nothing that a file or a command line says becomes an option, a path or a port that is none."""
    with pytest.raises(EdgeError, match="no place to log in"):
        _ = Account(place).parts

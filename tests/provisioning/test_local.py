"""`provision` on this machine: up, again, down, again, and what is left of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from image_model.catalog import SAMPLES_FOLDER
from provisioning.deployments import Deployment
from provisioning.errors import ProvisioningError
from provisioning.providers.local import LocalProvider
from tests.agents import wait_for
from tests.conftest import SuppliedModel
from tests.home import Home

THREE = str(SAMPLES_FOLDER / "digit-3.png")
UP = ("up", "--on", "local", "--name", "edge1")


@pytest.fixture
def user(tmp_path: Path) -> Home:
    return Home(tmp_path)


def deployments(user: Home) -> list[dict[str, object]]:
    done = user.provision("list", "-o", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)["deployments"]
    return found


def agent_process(user: Home) -> psutil.Process:
    state = json.loads((user.folder / "state" / "edgerun" / "deployments" / "edge1.json").read_text())
    return psutil.Process(state["resources"]["pid"])


def leftovers(user: Home) -> list[str]:
    """Files that remain of deployments; locks are empty and stay for the next time."""
    folders = (user.folder / "state", user.folder / "data", user.folder / "config")
    files = (path for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file())
    return [str(path) for path in files if path.suffix != ".lock" and path.name != "hosts.toml"]


def test_up_classify_down(user: Home) -> None:
    """From nothing to an answer over TLS with a token, and back to nothing."""
    up = user.provision(*UP, "--model", "none")
    assert up.returncode == 0, up.stderr
    done = user.client("classify", THREE, "--host", "edge1", "-o", "json")
    assert json.loads(done.stdout)["results"][0]["predictions"][0]["label"] == "3"
    host = user.hosts.named("edge1")
    assert host.url.startswith("https://127.0.0.1:")
    assert host.certificate
    assert host.token
    status = user.provision("status", "edge1")
    assert status.returncode == 0
    assert "running" in status.stdout
    assert "listens on" in user.provision("logs", "edge1").stdout
    process = agent_process(user)
    down = user.provision("down", "edge1")
    assert down.returncode == 0, down.stderr
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert leftovers(user) == []
    assert user.hosts.hosts() == {}
    assert deployments(user) == []
    again = user.provision("down", "edge1")
    assert (again.returncode, "nothing is there" in again.stderr) == (0, True)


def test_a_second_up_changes_nothing(user: Home) -> None:
    """Same process, same token, same certificate."""
    user.provision(*UP, "--model", "none")
    before, host = agent_process(user).pid, user.hosts.named("edge1")
    again = user.provision(*UP, "--model", "none")
    assert again.returncode == 0
    assert "is up already" in again.stderr
    assert (agent_process(user).pid, user.hosts.named("edge1")) == (before, host)
    other = user.provision(*UP, "--workers", "1")
    assert other.returncode == 1
    assert "provision down edge1" in other.stderr
    user.provision("down", "edge1")


def test_a_rotated_token_is_the_one_that_provision_uses(user: Home) -> None:
    """Status and a second `up` find the agent as before; one that lost its files begins with its first token again."""
    user.provision(*UP, "--model", "none")
    first = user.hosts.named("edge1")
    assert user.client("tokens", "rotate", "--host", "edge1").returncode == 0
    rotated = user.hosts.named("edge1")
    assert rotated.token != first.token
    status = user.provision("status", "edge1")
    assert (status.returncode, "ready" in status.stdout) == (0, True)
    assert "is up already" in user.provision(*UP, "--model", "none").stderr
    assert user.hosts.named("edge1") == rotated
    process = agent_process(user)
    process.kill()
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert user.provision(*UP, "--model", "none").returncode == 0
    assert user.hosts.named("edge1").token == rotated.token
    assert user.client("tokens", "ls").returncode == 0
    agent_process(user).kill()
    for path in list((user.folder / "data").rglob("tokens.json")):
        shutil.rmtree(path.parent)
    assert user.provision(*UP, "--model", "none").returncode == 0
    assert user.hosts.named("edge1").token == first.token
    assert user.client("tokens", "ls").returncode == 0
    assert user.provision("down", "edge1").returncode == 0


def test_a_lost_hosts_entry_is_written_again(user: Home) -> None:
    """`up` repairs what only this side forgot."""
    user.provision(*UP, "--model", "none")
    host = user.hosts.named("edge1")
    user.hosts.remove("edge1")
    assert user.provision(*UP, "--model", "none").returncode == 0
    assert user.hosts.named("edge1") == host
    user.provision("down", "edge1")


def test_a_stale_process_id_is_noticed(user: Home) -> None:
    """A killed agent shows as stopped, and `up` starts it anew with its models and its pin."""
    user.provision(*UP, "--model", "none")
    certificate = user.hosts.named("edge1").certificate
    process = agent_process(user)
    process.kill()
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    status = user.provision("status", "edge1")
    assert status.returncode == 1
    assert "stopped" in status.stdout
    up = user.provision(*UP, "--model", "none")
    assert up.returncode == 0
    assert "is gone: starting the agent again" in up.stderr
    assert user.hosts.named("edge1").certificate == certificate
    assert user.client("classify", THREE).returncode == 0
    user.provision("down", "edge1")


def test_another_process_under_the_same_id_is_left_alone(user: Home) -> None:
    """`down` never ends a process that it did not start, even if it has the id that is on file."""
    user.provision(*UP, "--model", "none")
    process = agent_process(user)
    process.kill()
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    path = user.folder / "state" / "edgerun" / "deployments" / "edge1.json"
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        state = json.loads(path.read_text())
        state["resources"]["pid"] = bystander.pid
        path.write_text(json.dumps(state))
        assert user.provision("status", "edge1").returncode == 1
        assert user.provision("down", "edge1").returncode == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_taken_port_is_said_and_undone(user: Home) -> None:
    """When the agent cannot start, its last words are shown and nothing stays."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = user.provision(*UP, "--port", port)
    assert up.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in up.stderr
    assert leftovers(user) == []
    assert deployments(user) == []


def test_up_interrupted_is_undone(user: Home) -> None:
    """Ctrl-C while the agent starts leaves no process and no file."""
    command = [str(Path(sys.executable).with_name("provision")), *UP]
    deployments_folder = user.folder / "state" / "edgerun" / "deployments"
    for _ in range(5):
        child = subprocess.Popen(command, env=user.environment, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: any("pid" in path.read_text() for path in deployments_folder.glob("*.json")))
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
        if "try: client classify" not in said:
            break
        user.provision("down", "edge1")  # on a busy machine the signal came when all was done
    assert child.returncode == 130, said
    assert leftovers(user) == []


def test_up_killed_is_removed_by_down(user: Home) -> None:
    """kill -9 of `provision` at any moment leaves something that `down` finds and removes."""
    for delay in (0.2, 0.4, 0.6, 0.8):
        command = [str(Path(sys.executable).with_name("provision")), *UP, "--model", "none"]
        child = subprocess.Popen(command, env=user.environment, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        child.kill()
        child.wait()
        assert user.provision("down", "edge1").returncode == 0
        assert leftovers(user) == []
        assert not any(
            f"--data {user.folder}" in " ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])
        )


def test_an_agent_whose_id_was_never_noted_is_found(user: Home) -> None:
    """`provision` was killed between starting it and noting that: `up` leaves it as it is, `down` ends it."""
    assert user.provision(*UP, "--model", "none").returncode == 0
    process = agent_process(user)
    path = user.folder / "state" / "edgerun" / "deployments" / "edge1.json"

    state = json.loads(path.read_text())
    del state["resources"]["pid"], state["resources"]["started"]
    path.write_text(json.dumps(state))
    assert f"process {process.pid}" in user.provision("status", "edge1").stdout
    assert user.provision(*UP, "--model", "none").returncode == 0
    assert process.is_running()
    assert user.provision("down", "edge1").returncode == 0
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert leftovers(user) == []


def test_two_at_once_make_one_agent(user: Home) -> None:
    """Of two `up` at the same moment one works, and the other waits or says so; one agent runs."""
    command = [str(Path(sys.executable).with_name("provision")), *UP, "--model", "none"]
    both = [subprocess.Popen(command, env=user.environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outcomes = [(child.communicate(timeout=60)[1], child.returncode) for child in both]
    assert 0 in [code for _, code in outcomes]
    assert all(code == 0 or "another provision works on edge1" in said for said, code in outcomes)
    running = [
        p for p in psutil.process_iter(["cmdline"]) if f"{user.folder}/data" in " ".join(p.info["cmdline"] or [])
    ]
    assert len(running) == 1
    user.provision("down", "edge1")


def test_a_host_of_another_origin_is_not_overwritten(user: Home) -> None:
    """A name that was added by hand stays what it is."""
    from client.sdk.hosts import Host

    user.hosts.put(Host("edge1", "https://192.0.2.1:1", token="mine"))
    up = user.provision(*UP)
    assert up.returncode == 1
    assert "client hosts rm edge1" in up.stderr
    assert user.hosts.named("edge1").token == "mine"


def test_the_preferred_model_comes_along_when_it_can_be_had(user: Home, mobilenet: SuppliedModel) -> None:
    """With the mirror, `up` pushes the MobileNetV2 and it is the default; without, `up` says so and goes on."""
    with_it = user.provision(*UP, EDGERUN_MODEL_MIRROR=mobilenet.mirror)
    assert with_it.returncode == 0, with_it.stderr
    assert deployments(user)[0]["default_model"] == mobilenet.entry.name
    user.provision("down", "edge1")


def test_without_the_preferred_model_up_says_so(user: Home) -> None:
    """A model that cannot be had is no failure: digits answers, and the line says how to get the other."""
    up = user.provision(*UP)
    assert up.returncode == 0
    assert "could not be had" in up.stderr
    assert "client models pull mobilenet_v2_1.0_224_quant --host edge1" in up.stderr
    assert deployments(user)[0]["default_model"] == "digits"
    user.provision("down", "edge1")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("up", "--on", "moon", "--name", "edge1"), 1, "nothing provisions on 'moon'"),
        (("up", "--on", "local", "--name", "Edge 1"), 2, "lower-case"),
        (("up", "--on", "local"), 2, "--name"),
        (("up", "--on", "local", "--name", "edge1", "--with", "cuda"), 2, "there are openvino, onnx, gpu"),
        (("up", "--on", "local", "--name", "edge1", "--with", "onnx,gpu"), 2, "choose one"),
        (("up", "--on", "docker", "--name", "edge1", "--volume", "data:/mnt"), 2, "is not /PATH:/PATH"),
        (("up", "--on", "local", "--name", "edge1", "--platform", "linux/arm64"), 1, "--platform is for --on docker"),
        (("status", "nosuch"), 1, "no deployment 'nosuch'"),
        (("logs", "nosuch"), 1, "no deployment 'nosuch'"),
    ],
)
def test_misuse_is_a_line(user: Home, arguments: tuple[str, ...], code: int, complaint: str) -> None:
    """Wrong names and places are refused before anything is made."""
    done = user.provision(*arguments)
    assert (done.returncode, complaint in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert leftovers(user) == []


def test_a_runtime_that_is_not_installed_here_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything starts, with the line that installs it."""
    monkeypatch.setattr("provisioning.providers.local.find_spec", lambda name: None)
    deployment = Deployment(
        "edge1", "local", {"with": ["onnx"]}, "token", resources={"folder": str(tmp_path / "agent")}
    )
    with pytest.raises(ProvisioningError, match="has no onnxruntime") as caught:
        LocalProvider().create(deployment, lambda: None, print)
    assert "pip install" in str(caught.value.hint)
    assert "edgerun[onnx]" in str(caught.value.hint)
    assert not (tmp_path / "agent").exists()


def test_state_is_private(user: Home) -> None:
    """State and hosts files hold a token: nobody else can read them."""
    user.provision(*UP, "--model", "none")
    for path in (
        user.folder / "state" / "edgerun" / "deployments" / "edge1.json",
        user.hosts.path,
    ):
        assert path.stat().st_mode & 0o077 == 0
    environment = Path(f"/proc/{agent_process(user).pid}/environ").read_bytes()
    token = user.hosts.named("edge1").token
    assert token is not None
    assert token.encode() not in environment
    assert os.getpid() != agent_process(user).pid
    user.provision("down", "edge1")


def test_the_log_is_read_across_its_files(tmp_path: Path) -> None:
    """What was logged before the newest file was begun comes first."""
    (tmp_path / "agent.log.1").write_text("first\nsecond\n")
    (tmp_path / "agent.log").write_text("third\n")
    deployment = Deployment("edge1", "local", {}, "token", resources={"folder": str(tmp_path)})
    logs = LocalProvider().logs
    assert list(logs(deployment, 100)) == ["first", "second", "third"]
    assert list(logs(deployment, 2)) == ["second", "third"]
    deployment.resources.clear()
    assert list(logs(deployment, 2)) == []

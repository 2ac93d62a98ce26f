"""What every provider promises, whatever the place: one life of a deployment, checked step by step."""

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from image_model.catalog import SAMPLES_FOLDER
from tests.agents import wait_for
from tests.home import Home, Result

NAME = "edge1"
THREE = str(SAMPLES_FOLDER / "digit-3.png")


@dataclass
class Place:
    """Somewhere to put an agent, and how a test looks at it from outside."""

    user: Home
    options: tuple[str, ...]
    variables: dict[str, str]
    kill_agent: Callable[[], None]
    """End the agent as a crash would."""
    leftovers: Callable[[], list[str]]
    """What is there of ours; nothing before `up` and after `down`."""
    keeps_files: bool = True
    """Whether files outlive a crash; a container's on CHI@Edge do not."""

    def provision(self, *arguments: str) -> Result:
        """Run `provision` for this place."""
        return self.user.provision(*arguments, **self.variables)

    def up(self) -> Result:
        """Run `provision up`."""
        return self.provision("up", *self.options, "--name", NAME, "--model", "none", "--device-type", "test-board")

    def has_nothing(self) -> bool:
        """Whether nothing of the deployment is left, there or here."""
        state = self.user.folder / "state" / "edgerun" / "deployments" / f"{NAME}.json"
        return not self.leftovers() and not state.exists() and not self.user.hosts.hosts()


def whole_life(place: Place) -> None:
    """From nothing to an agent, through all that a user does with it, a crash included, and back to nothing."""
    comes_up_and_classifies(place)
    tells_how_it_is(place)
    runs_programs(place)
    ends_programs(place, signal.SIGINT)
    ends_programs(place, signal.SIGTERM)
    has_the_runtimes_asked_for(place)
    moves_files(place)
    is_brought_back(place)
    goes_without_a_trace(place)


def comes_up_and_classifies(place: Place) -> None:
    """`up` ends with an agent that answers over TLS with a token; a second one changes nothing."""
    first = place.up()
    assert first.returncode == 0, first.stderr
    host = place.user.hosts.named(NAME)
    assert (host.url.startswith("https://"), bool(host.certificate), bool(host.token)) == (True, True, True)
    assert host.tunnel or "--tunnel" not in place.options
    _answers(place)
    again = place.up()
    assert (again.returncode, "is up already" in again.stderr) == (0, True), again.stderr
    assert place.user.hosts.named(NAME) == host
    other = place.provision("up", *place.options, "--name", NAME, "--workers", "1")
    assert (other.returncode, f"provision down {NAME}" in other.stderr) == (1, True)


def tells_how_it_is(place: Place) -> None:
    """`status` and `logs` say that it runs."""
    status = place.provision("status", NAME, "-o", "json")
    assert status.returncode == 0, status.stderr
    (row,) = json.loads(status.stdout)["deployments"]
    assert (row["state"], row["health"]) == ("running", "ready")
    assert "listens on" in place.provision("logs", NAME).stdout
    info = place.user.client("hosts", "test", NAME)
    assert info.returncode == 0, info.stderr


def runs_programs(place: Place) -> None:
    """`exec` passes on output and exit code, has the agent's `python`, and says when there is no such program."""
    done = place.provision("exec", NAME, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert place.provision("exec", NAME, "--", "python", "-c", "import server").returncode == 0
    assert place.provision("exec", NAME, "--", "no-such-program").returncode == 127


def ends_programs(place: Place, end: signal.Signals) -> None:
    """What ends `exec` ends the program there too, with what it started."""
    file = f"beats-{end.name}"
    beats = f"while :; do echo beat >>{file}; sleep 0.1; done"
    command = [str(Path(sys.executable).with_name("provision")), "exec", NAME, "--", "sh", "-c"]
    script = f"setsid sh -c '{beats}' & {beats}"
    child = subprocess.Popen([*command, script], env={**place.user.environment, **place.variables})
    wait_for(lambda: _beats(place, file) > 5)
    child.send_signal(end)
    assert child.wait(timeout=60) == 128 + end
    counted = _beats(place, file)
    time.sleep(1)
    assert _beats(place, file) == counted > 0


def _beats(place: Place, file: str) -> int:
    return place.provision("exec", NAME, "--", "cat", file).stdout.count("beat")


def has_the_runtimes_asked_for(place: Place) -> None:
    """What `--with` names is there for the agent's Python."""
    modules = {"onnx": "onnxruntime", "openvino": "openvino"}
    asked = next((text for option, text in itertools.pairwise(place.options) if option == "--with"), "")
    for name in filter(None, asked.split(",")):
        done = place.provision("exec", NAME, "--", "python", "-c", f"import {modules[name]}")
        assert done.returncode == 0, done.stderr


def moves_files(place: Place) -> None:
    """`push` and `pull` carry files and folders with the rules of `cp -r`, and name what is missing."""
    sent = place.user.folder / "sent"
    (sent / "below").mkdir(parents=True)
    (sent / "below" / "bytes").write_bytes(bytes(range(256)) * 5000)
    assert place.provision("push", NAME, str(sent), "there").returncode == 0
    assert place.provision("push", NAME, str(sent / "below" / "bytes"), "there/more/").returncode == 0
    back = place.user.folder / "back"
    pulled = place.provision("pull", NAME, "there", str(back))
    assert pulled.returncode == 0, pulled.stderr
    for name in ("below", "more"):
        assert (back / name / "bytes").read_bytes() == (sent / "below" / "bytes").read_bytes()
    for arguments in (("pull", NAME, "nowhere", str(back)), ("push", NAME, str(sent / "nowhere"), "there")):
        missing = place.provision(*arguments)
        assert (missing.returncode, "nowhere" in missing.stderr) == (1, True), missing.stderr


def is_brought_back(place: Place) -> None:
    """A crash shows in `status`; `up` brings the agent back, with certificate and files where the place keeps them."""
    host = place.user.hosts.named(NAME)
    place.kill_agent()
    seen = "stopped" if place.keeps_files else "lost its files"
    wait_for(lambda: seen in place.provision("status", NAME, "-o", "json").stdout)
    up = place.up()
    assert up.returncode == 0, up.stderr
    assert (place.user.hosts.named(NAME).certificate == host.certificate) is place.keeps_files
    assert (place.provision("exec", NAME, "--", "test", "-d", "there").returncode == 0) is place.keeps_files
    _answers(place)


def goes_without_a_trace(place: Place) -> None:
    """`down` leaves nothing, there or here, and is fine a second time."""
    down = place.provision("down", NAME)
    assert down.returncode == 0, down.stderr
    assert place.has_nothing(), place.leftovers()
    assert place.provision("down", NAME).returncode == 0


def survives_a_kill(place: Place, delay_s: float) -> None:
    """kill -9 of `provision up` at any moment leaves nothing that `down` does not find and remove."""
    command = [str(Path(sys.executable).with_name("provision")), "up", *place.options, "--name", NAME]
    environment = {**place.user.environment, **place.variables}
    child = subprocess.Popen([*command, "--model", "none"], env=environment, stderr=subprocess.DEVNULL)
    time.sleep(delay_s)
    child.kill()
    child.wait()
    down = place.provision("down", NAME)
    assert down.returncode == 0, down.stderr
    assert place.has_nothing(), place.leftovers()


def _answers(place: Place) -> None:
    done = place.user.client("classify", THREE, "--host", NAME, "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"][0]["predictions"][0]["label"] == "3"

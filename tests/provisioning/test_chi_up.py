"""`provision` on CHI@Edge: the real command and the unmodified python-chi against the site on loopback."""

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from image_model.catalog import SAMPLES_FOLDER
from tests.agents import wait_for
from tests.chi_at_edge.state import AGENT_IMAGE, STOCK_IMAGE, Testbed
from tests.conftest import SuppliedModel
from tests.home import Home, Result

THREE = str(SAMPLES_FOLDER / "digit-3.png")
UP = ("up", "--lease", "demo", "--name", "edge1", "--image", AGENT_IMAGE, "--model", "none")
NOTHING: tuple[list[str], list[str]] = ([], [])


def up(student: Home, *more: str, **variables: str) -> Result:
    done = student.provision(*UP, *more, **variables)
    assert done.returncode == 0, done.stderr
    return done


def down(student: Home) -> None:
    done = student.provision("down", "edge1")
    assert done.returncode == 0, done.stderr


def started(student: Home, *more: str, hang_up: signal.Handlers = signal.SIG_DFL) -> subprocess.Popen[str]:
    """`up`, with SIGHUP as a terminal gives it, or as `nohup` does."""
    command = [str(Path(sys.executable).with_name("provision")), *UP, *more]
    return subprocess.Popen(
        command,
        env=student.environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, hang_up),
    )


def test_from_a_lease_to_an_answer_and_back_to_nothing(student: Home, testbed: Testbed) -> None:
    """Up, classify through the floating address with the pinned certificate, down; one create, nothing left."""
    said = up(student)
    assert said.stdout == ""
    host = student.hosts.named("edge1")
    assert host.url == f"https://{testbed.left()[1][0]}:8080"
    assert host.certificate
    done = student.client("classify", THREE, "--host", "edge1", "-o", "json")
    assert json.loads(done.stdout)["results"][0]["predictions"][0]["label"] == "3", done.stderr
    status = student.provision("status", "edge1")
    assert status.returncode == 0, status.stderr
    assert "lease demo has 3 h 59 min left" in status.stdout
    assert "listens on" in student.provision("logs", "edge1").stdout
    down(student)
    assert testbed.left() == NOTHING
    assert student.hosts.hosts() == {}
    assert len(testbed.calls("zun.create")) == len(testbed.calls("neutron.create")) == 1
    operations = [entry.operation for entry in testbed.log]
    assert operations.index("neutron.delete") < operations.index("zun.delete")
    assert "nothing is there" in student.provision("down", "edge1").stderr


def test_a_second_up_changes_nothing(student: Home, testbed: Testbed) -> None:
    """It asks, and makes nothing."""
    up(student)
    before = student.hosts.named("edge1")
    count = len(testbed.log)
    assert "is up already" in up(student).stderr
    assert student.hosts.named("edge1") == before
    asked = {entry.operation for entry in testbed.log[count:]}
    assert asked <= {"keystone.token", "blazar.list", "zun.get", "neutron.list", "zun.execute"}
    down(student)


def test_secrets_stay_secret(student: Home, testbed: Testbed) -> None:
    """The token is in no request at all; its hash is in the container's environment only; no secret in any URL."""
    up(student)
    token = student.hosts.named("edge1").token
    assert token is not None
    hashed = hashlib.sha256(token.encode()).hexdigest()
    for entry in testbed.log:
        assert token not in entry.target
        assert token.encode() not in entry.body
        assert hashed not in entry.target
        if entry.operation != "keystone.token":
            assert b"loopback secret" not in entry.body
    (create,) = testbed.calls("zun.create")
    environment = json.loads(create.body)["environment"]
    assert environment == {"EDGERUN_TOKEN_SHA256": hashed, "EDGERUN_DEVICE_TYPE": "raspberrypi4-64"}
    down(student)


def test_only_exposed_ports_answer(student: Home, testbed: Testbed) -> None:
    """The container exposes the agent's port and no other."""
    up(student, "--port", "9090")
    assert student.hosts.named("edge1").url.endswith(":9090")
    (create,) = testbed.calls("zun.create")
    assert json.loads(create.body)["exposed_ports"] == {"9090": {}}
    down(student)


@pytest.mark.slow
def test_a_stock_image_gets_the_agent_installed(student: Home, testbed: Testbed) -> None:
    """The wheel goes up and is installed by a step that outlives the site's patience; `exec` finds its python."""
    testbed.knobs.exec_timeout_s = 1.0
    done = student.provision("up", "--lease", "demo", "--name", "edge1", "--model", "none", "--with", "onnx")
    assert done.returncode == 0, done.stderr
    assert any("edgerun" in entry.target and "server%2Connx" in entry.target for entry in testbed.calls("zun.execute"))
    assert "the image has no agent: installing it" in done.stderr
    assert json.loads(testbed.calls("zun.create")[0].body)["image"] == STOCK_IMAGE
    assert student.client("classify", THREE).returncode == 0
    where = student.provision("exec", "edge1", "--", "python", "-c", "import server; print(server.__file__)")
    assert where.stdout.startswith("/srv/edgerun/venv/"), where.stderr
    down(student)
    assert testbed.left() == NOTHING


@pytest.mark.slow
def test_a_failed_installation_says_why(student: Home, testbed: Testbed) -> None:
    """pip's last words, and everything is undone."""
    testbed.images[STOCK_IMAGE].environment["PIP_INDEX_URL"] = "http://127.0.0.1:9/simple"  # type: ignore[index]
    testbed.images[STOCK_IMAGE].environment["PYTHONPATH"] = ""  # type: ignore[index]
    testbed.images[STOCK_IMAGE].environment["PIP_RETRIES"] = "0"  # type: ignore[index]
    done = student.provision("up", "--lease", "demo", "--name", "edge1", "--model", "none")
    assert (done.returncode, "could not be installed" in done.stderr) == (1, True), done.stderr
    assert testbed.left() == NOTHING


def test_exec_push_pull(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """Programs that run longer than the site waits, and files that are larger than it takes."""
    testbed.knobs.exec_timeout_s = 1.0
    up(student)
    script = "echo begun; echo wrong >&2; sleep 2; echo done; exit 7"
    ran = student.provision("exec", "edge1", "--", "sh", "-c", script)
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "begun\ndone\n", "wrong\n")
    assert student.provision("exec", "edge1", "--", "nosuch").returncode == 127
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "large").write_bytes(bytes(range(256)) * 20_000)
    (folder / "deep" / "a file").write_text("text")
    assert student.provision("push", "edge1", str(folder), "copied").returncode == 0
    largest = max(len(entry.body) for entry in testbed.calls("zun.put_archive"))
    assert largest < 6_000_000
    back = tmp_path / "back"
    pulled = student.provision("pull", "edge1", "copied", str(back))
    assert pulled.returncode == 0, pulled.stderr
    assert (back / "large").read_bytes() == (folder / "large").read_bytes()
    assert (back / "deep" / "a file").read_text() == "text"
    down(student)


@pytest.mark.parametrize("verb", ["repair", "up"])
def test_after_a_restarted_pod(student: Home, testbed: Testbed, verb: str) -> None:
    """The files are gone and the certificate is new: `status` says so, and it is pinned on the same address."""
    up(student)
    before = replace(student.hosts.named("edge1"), groups=("mine",))
    student.hosts.put(before)
    restart(student, testbed)
    assert "provision repair edge1" in student.provision("status", "edge1", "-o", "json").stdout
    back = student.provision("repair", "edge1") if verb == "repair" else up(student)
    assert back.returncode == 0, back.stderr
    assert "jobs, results, pushed files and tokens that were there are gone" in back.stderr
    after = student.hosts.named("edge1")
    assert after == replace(before, certificate=after.certificate)
    assert student.client("classify", THREE).returncode == 0
    assert len(testbed.calls("zun.create")) == 1
    down(student)


def test_repair_brings_the_model_that_up_pushed(student: Home, testbed: Testbed, mobilenet: SuppliedModel) -> None:
    """A restarted pod answers as before."""
    mirror = {"EDGERUN_MODEL_MIRROR": mobilenet.mirror}
    made = student.provision(*UP[:-1], mobilenet.entry.name, **mirror)
    assert made.returncode == 0, made.stderr
    restart(student, testbed)
    assert student.provision("repair", "edge1", **mirror).returncode == 0
    parrot = student.client("classify", "-", "-o", "json", stdin=mobilenet.parrot)
    assert json.loads(parrot.stdout)["results"][0]["predictions"][0]["label"] == "macaw", parrot.stderr
    down(student)


def restart(student: Home, testbed: Testbed) -> None:
    """Let the pod lose its files, and wait for its agent to be back."""
    (container,) = testbed.containers.values()
    container.pod.restart()
    wait_for(lambda: student.client("classify", THREE).returncode == 4)  # not the certificate that was pinned


def test_what_cannot_be_removed_can_be_forgotten(student: Home, testbed: Testbed) -> None:
    """When the site does not answer: the entry goes, and what may still be allocated is said and found again."""
    up(student)
    ids = [*testbed.containers, *testbed.addresses]
    nowhere = {"OS_AUTH_URL": "http://127.0.0.1:9/v3"}
    assert student.provision("down", "edge1", **nowhere).returncode == 3
    assert list(student.hosts.hosts()) == ["edge1"]
    forgotten = student.provision("down", "edge1", "--forget", **nowhere)
    assert forgotten.returncode == 0, forgotten.stderr
    assert all(identifier in forgotten.stderr for identifier in ids), forgotten.stderr
    assert student.hosts.hosts() == {}
    rows = json.loads(student.provision("orphans", "-o", "json").stdout)["orphans"]
    assert [row["id"] for row in rows] == ids


def test_two_at_once_make_one_container(student: Home, testbed: Testbed) -> None:
    """Of two `up` for one name on one machine one works, and the other waits or says so."""
    both = [started(student), started(student)]
    outcomes = [(child.communicate(timeout=60)[1], child.returncode) for child in both]
    assert 0 in [code for _, code in outcomes], outcomes
    assert all(code == 0 or "another provision works on edge1" in said for said, code in outcomes)
    assert len(testbed.calls("zun.create")) == 1
    down(student)


def test_two_machines_do_not_share_a_name(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """A container that edgerun made elsewhere is left alone, and `up` says so."""
    up(student)
    other = Home(tmp_path / "other")
    other.folder.mkdir()
    other.environment.update(testbed.environment())
    done = other.provision(*UP)
    assert done.returncode == 1
    assert "another edgerun made it" in done.stderr
    assert testbed.left()[0] == ["edge1"]
    assert student.client("classify", THREE).returncode == 0
    down(student)


def test_two_machines_at_the_same_moment(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """Both saw that the name is free: the same one gives way on both sides, and one container stays."""
    other = Home(tmp_path / "other")
    other.folder.mkdir()
    other.environment.update(testbed.environment())
    testbed.knobs.fail("zun.create", None, after=True, delay_s=1.5, times=2)
    both = [started(student), started(other)]
    outcomes = [(child.communicate(timeout=60)[1], child.returncode) for child in both]
    assert sorted(code for _, code in outcomes) == [0, 1], outcomes
    assert "another edgerun made it" in "".join(said for said, code in outcomes if code)
    assert testbed.left()[0] == ["edge1"]
    for home in (student, other):
        down(home)
    assert testbed.left() == NOTHING


MAKING = ("zun.create", "neutron.create")
STEPS = ("keystone.token", "blazar.list", "zun.list", *MAKING, "zun.get", "zun.execute", "neutron.list")
ENDS = (
    *((operation, end) for operation in MAKING for end in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL)),
    *((operation, signal.SIGTERM) for operation in STEPS),
    *(
        pytest.param(operation, end, marks=pytest.mark.slow)
        for operation in (*STEPS, "neutron.networks")
        if operation not in MAKING
        for end in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL)
    ),
)


@pytest.mark.parametrize(("operation", "end"), ENDS)
def test_ended_at_any_step_nothing_stays(student: Home, testbed: Testbed, operation: str, end: signal.Signals) -> None:
    """What asks to end undoes what was done; after kill -9 `down` does.

    The step that was under way takes effect all the same.
    """
    testbed.knobs.fail(operation, None, after=True, delay_s=3)
    child = started(student)
    wait_for(lambda: not [fault for fault in testbed.knobs.faults if fault.times])
    time.sleep(0.2)
    child.send_signal(end)
    said = child.communicate(timeout=60)[1]
    if end == signal.SIGKILL:
        down(student)
    else:
        assert child.returncode == 128 + end, said
    assert testbed.left() == NOTHING, said
    assert student.provision("list", "-o", "csv").stdout.strip() == ""


def test_a_closed_terminal_undoes(student: Home, testbed: Testbed) -> None:
    """Though nobody reads any more what it says."""
    testbed.knobs.fail("neutron.create", None, after=True, delay_s=3)
    command = [str(Path(sys.executable).with_name("provision")), *UP]
    child, terminal = pty.fork()
    if child == 0:
        os.execve(command[0], command, student.environment)
    wait_for(lambda: bool(testbed.calls("neutron.create")))
    os.close(terminal)
    assert os.waitpid(child, 0)[1] != 0
    assert testbed.left() == NOTHING
    assert student.provision("list", "-o", "csv").stdout.strip() == ""


def test_under_nohup_a_closed_terminal_ends_nothing(student: Home, testbed: Testbed) -> None:
    """What was to be ignored is."""
    testbed.knobs.fail("zun.create", None, after=True, delay_s=1)
    child = started(student, hang_up=signal.SIG_IGN)
    wait_for(lambda: bool(testbed.calls("zun.create")))
    child.send_signal(signal.SIGHUP)
    assert child.wait(timeout=60) == 0, child.communicate()[1]
    child.communicate()
    down(student)


def test_ended_again_while_it_undoes_it_says_what_may_be_left(student: Home, testbed: Testbed) -> None:
    """And how that goes: `down` removes it."""
    testbed.knobs.deletion_delay_s = 30
    testbed.knobs.fail("neutron.create", None, after=True, delay_s=3)
    child = started(student)
    wait_for(lambda: not [fault for fault in testbed.knobs.faults if fault.times])
    child.send_signal(signal.SIGTERM)
    wait_for(lambda: bool(testbed.calls("zun.delete")))
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 128 + signal.SIGTERM
    assert "interrupted while undoing" in said
    assert "container" in said.split("interrupted while undoing")[1]
    assert "`provision down edge1` removes it" in said
    testbed.knobs.deletion_delay_s = 0
    down(student)
    assert testbed.left() == NOTHING


def test_a_deleted_credential_is_no_missing_container(student: Home, testbed: Testbed, tmp_path: Path) -> None:
    """Keystone says 404: nothing is forgotten, nobody says gone, and what to do is said."""
    up(student)
    testbed.delete_credential()
    (container,) = testbed.containers.values()
    container.pod.restart()
    for arguments in (
        ("down", "edge1"),
        ("watch", "edge1", "--every", "1s", "--save", str(tmp_path)),
        ("leases",),
        ("orphans",),
    ):
        done = student.provision(*arguments)
        assert (done.returncode, "create an application credential" in done.stderr) == (4, True), done
        assert "gone" not in done.stderr
    (row,) = json.loads(student.provision("status", "-o", "json").stdout)["deployments"]
    assert row["state"] == "unknown"
    testbed.knobs.credential_deleted = False
    down(student)
    assert testbed.left() == NOTHING


def test_what_is_not_ours_is_never_touched(student: Home, testbed: Testbed) -> None:
    """A colleague's idle address and container survive everything."""
    foreign = testbed.allocate("somebody else's")
    assert foreign is not None
    up(student)
    assert len(testbed.addresses) == 2
    down(student)
    assert testbed.left() == ([], [foreign.address])


def test_leases_and_orphans(student: Home, testbed: Testbed) -> None:
    """What there is, and what is left when this side forgot it."""
    listed = json.loads(student.provision("leases", "-o", "json").stdout)["leases"]
    assert [(lease["name"], lease["status"], lease["devices"]) for lease in listed] == [
        ("demo", "ACTIVE", "raspberrypi4-64")
    ]
    up(student)
    assert json.loads(student.provision("orphans", "-o", "json").stdout)["orphans"] == []
    (student.folder / "state" / "edgerun" / "deployments" / "edge1.json").unlink()
    testbed.allocate("somebody else's")
    rows = json.loads(student.provision("orphans", "-o", "json").stdout)["orphans"]
    assert [(row["kind"], row["made_by"]) for row in rows] == [
        ("container", "edgerun"),
        ("address", "edgerun"),
        ("address", "somebody else"),
    ]
    refused = student.provision("orphans", "--remove", rows[2]["id"])
    assert (refused.returncode, "was not made by edgerun" in refused.stderr) == (1, True)
    removed = student.provision("orphans", "--remove", rows[0]["id"], "--remove", rows[1]["id"])
    assert removed.returncode == 0, removed.stderr
    assert testbed.left() == ([], [rows[2]["name"]])


def test_a_dry_run_makes_nothing(student: Home, testbed: Testbed) -> None:
    """It checks the credentials and the lease and says what would be made."""
    done = student.provision(*UP, "--dry-run", "--device-profile", "pi_camera")
    assert done.returncode == 0, done.stderr
    assert re.search(r"profiles +pi_camera\n", done.stdout)
    assert "would be made" in done.stdout
    assert not testbed.calls("zun.create")
    assert student.provision("list", "-o", "csv").stdout.strip() == ""


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("up", "--on", "chi", "--name", "edge1"), 1, "--lease"),
        (("up", "--lease", "nosuch", "--name", "edge1"), 1, "there are: demo (ACTIVE)"),
        (("up", "--lease", "demo", "--name", "edge.1"), 1, "lower-case letters, digits and hyphens"),
        (("up", "--lease", "demo", "--name", "edge1", "--offline"), 1, "--offline is for --on ssh"),
        (("up", "--on", "local", "--name", "edge1", "--dry-run"), 1, "--dry-run is for leases"),
    ],
)
def test_misuse_is_a_line(
    student: Home, testbed: Testbed, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    """What cannot work is refused before anything is made."""
    done = student.provision(*arguments)
    assert (done.returncode, complaint in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert testbed.left() == NOTHING

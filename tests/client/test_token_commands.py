"""`client tokens`: made, listed, revoked and rotated, so that nobody is locked out whatever fails."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from client.errors import EdgeError, HostError, NotAuthorized, Unreachable
from client.sdk import rotation
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host, HostsFile
from client.sdk.rotation import rotate, successor
from contract.tokens import Scope
from image_model.catalog import EMBEDDED_FOLDER
from tests.agents import TOKEN, RunningAgent, running_agent
from tests.home import Home
from tests.terminals import on_a_terminal

THREE = str(EMBEDDED_FOLDER / "samples" / "digit-3.png")


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent whose tokens these tests make and revoke, all but the first."""
    folder = tmp_path_factory.mktemp("owned")
    with running_agent(folder, "--workers", "1", "--allow-commands", "on", token=TOKEN) as running:
        yield running


def names(agent: RunningAgent) -> set[str]:
    """The tokens that there are."""
    with EdgeClient(agent.host) as client:
        return {token.name for token in client.tokens().tokens}


def admin_of(agent: RunningAgent, home: Home, name: str) -> Host:
    """A host of the hosts file with an admin's token of its own, which a test may rotate."""
    with EdgeClient(agent.host) as client:
        made = client.create_token(name, [Scope.ADMIN])
    home.hosts.put(replace(agent.host, name="edge1", token=made.token))
    return home.hosts.named("edge1")


def test_a_token_is_printed_alone_and_once(home: Home, owned: RunningAgent) -> None:
    """On standard output there is nothing else, so that a script takes it as it is."""
    home.knows(owned)
    done = home.client("tokens", "create", "script", "--scope", "read", "--scope", "infer")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "edge1: script may read, infer until it is revoked" in done.stderr
    assert done.stdout.strip() not in done.stderr
    with EdgeClient(replace(owned.host, token=done.stdout.strip())) as client:
        assert (client.access().token, client.access().scopes) == ("script", [Scope.READ, Scope.INFER])
    listed = home.client("tokens", "ls", "-o", "csv")
    row = next(row for row in csv.DictReader(io.StringIO(listed.stdout)) if row["name"] == "script")
    assert (row["scopes"], row["in_use"], row["first"]) == ("read infer", "False", "False")
    assert done.stdout.strip() not in listed.stdout
    document = json.loads(home.client("tokens", "ls", "-o", "json").stdout)["hosts"]["edge1"]
    assert document["in_use"] == "first"
    assert home.client("tokens", "revoke", "script").returncode == 0
    assert "script" not in names(owned)


def test_a_token_can_be_a_host_of_its_own(home: Home, owned: RunningAgent) -> None:
    """With the scopes it was given: `infer` classifies and reads nothing, and is told what it lacks."""
    home.knows(owned)
    done = home.client("tokens", "create", "app", "--scope", "infer", "--save-as", "edge1-app", "-o", "json")
    assert done.returncode == 0, done.stderr
    token = home.hosts.named("edge1-app").token
    assert token is not None
    assert token not in done.stdout + done.stderr
    assert home.client("classify", THREE, "--host", "edge1-app").returncode == 0
    refused = home.client("jobs", "ls", "--host", "edge1-app")
    assert refused.returncode == 4
    assert "needs the scope read or run; the token 'app' has infer" in refused.stderr
    assert "client tokens create NAME --scope read" in refused.stderr
    doctor = home.client("doctor", "--host", "edge1-app")
    assert (doctor.returncode, "accepted: app, for infer" in doctor.stdout) == (0, True)
    taken = home.client("tokens", "create", "other", "--scope", "infer", "--save-as", "edge1-app", "--host", "edge1")
    assert (taken.returncode, "has a edge1-app already" in taken.stderr) == (2, True)
    assert "other" not in names(owned)
    assert home.client("tokens", "revoke", "app", "--host", "edge1").returncode == 0


def test_run_alone_submits_and_pushes_and_reads_no_results(home: Home, owned: RunningAgent, tmp_path: Path) -> None:
    """What it started it may cancel; what it found is not for it, and a program is not started to be left unread."""
    home.knows(owned)
    assert home.client("tokens", "create", "ci", "--scope", "run", "--save-as", "ci").returncode == 0
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "data").write_text("x")
    attended = home.client("run", "--host", "ci", "--", "true")
    assert (attended.returncode, "--detach" in attended.stderr) == (4, True)
    started = home.client("run", "--host", "ci", "--bundle", str(tmp_path / "bundle"), "--detach", "--", "sleep", "60")
    assert started.returncode == 0, started.stderr
    job = started.stdout.strip()
    assert home.client("jobs", "cancel", job, "--host", "ci").returncode == 0
    assert home.client("jobs", "results", job, "--host", "ci").returncode == 4
    model = str(EMBEDDED_FOLDER / "digits.tflite")
    assert home.client("models", "push", model, "--name", "mine", "--host", "ci").returncode == 0
    assert home.client("models", "default", "mine", "--host", "ci").returncode == 4
    assert home.client("models", "rm", "mine", "--host", "ci").returncode == 0
    assert home.client("tokens", "revoke", "ci", "--host", "edge1").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["create", "x"], 2, "--scope"),
        (["create", "x", "--scope", "root"], 2, "'root' is not one of"),
        (["create", "Big Name", "--scope", "read"], 2, "small letters, digits"),
        (["create", "first", "--scope", "read"], 5, "the name of the token that the agent starts with"),
        (["create", "x", "--scope", "read", "--expires", "soon"], 2, "write 500ms, 60s, 10m or 2h"),
        (["create", "x", "--scope", "read", "--expires", "1s"], 2, "1 min"),
        (["revoke", "nobody"], 5, "there is no token 'nobody'"),
        (["revoke", "first"], 2, "--yes"),
        (["revoke", "first", "--yes"], 5, "client tokens rotate"),
        (["rotate", "--name", "Big Name"], 2, "small letters, digits"),
        (["rotate", "--host", "127.0.0.1:1"], 2, "is not in the hosts file"),
        (["audit", "--limit", "0"], 2, "limit"),
    ],
)
def test_misuse_says_what_to_do(
    home: Home, owned: RunningAgent, arguments: list[str], code: int, complaint: str
) -> None:
    """One line, an exit code, and nothing was made."""
    home.knows(owned)
    before = names(owned)
    done = home.client("tokens", *arguments)
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert names(owned) == before


def test_the_token_in_use_is_revoked_after_a_question(home: Home, owned: RunningAgent) -> None:
    """On a terminal it is asked for; no is no."""
    admin_of(owned, home, "mine")
    code, sent = on_a_terminal(home, "client", "tokens", "revoke", "mine", typed=b"n\n")
    assert (code != 0, "you use for edge1 yourself" in sent, "mine" in names(owned)) == (True, True, True)
    code, sent = on_a_terminal(home, "client", "tokens", "revoke", "mine", typed=b"y\n")
    assert (code, "mine" in names(owned)) == (0, False), sent
    refused = home.client("tokens", "ls")
    assert refused.returncode == 4


def test_rotation_replaces_the_token_and_keeps_everything_else(home: Home, owned: RunningAgent) -> None:
    """Scopes and lifetime are those of the old one, which opens nothing any more; curl's file follows."""
    old = admin_of(owned, home, "laptop")
    assert home.client("hosts", "curl", "edge1").returncode == 0
    done = home.client("tokens", "rotate", "--host", "edge1")
    assert done.returncode == 0, done.stderr
    assert "edge1: laptop.2 is in the hosts file, laptop is revoked" in done.stderr
    new = home.hosts.named("edge1")
    assert new == replace(old, token=new.token)
    assert new.token not in (old.token, None)
    assert str(new.token) in (home.hosts.curl_folder / "edge1.curl").read_text()
    assert str(new.token) not in done.stdout + done.stderr
    with EdgeClient(old) as client, pytest.raises(NotAuthorized):
        client.access()
    assert home.client("tokens", "rotate").returncode == 0
    assert {"laptop", "laptop.2", "laptop.3"} & names(owned) == {"laptop.3"}


FAULTS = (EdgeError("failed"), KeyboardInterrupt(), OSError("disk full"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("step", ["try", "keep"])
def test_what_fails_before_the_new_token_is_kept_takes_it_back(
    home: Home, owned: RunningAgent, monkeypatch: pytest.MonkeyPatch, step: str, fault: BaseException
) -> None:
    """The old one is in the hosts file and good, and no other is left over."""

    def fail(*_: object) -> None:
        raise fault

    host, before = admin_of(owned, home, "steady"), names(owned)
    if step == "try":
        monkeypatch.setattr(rotation, "_try_out", fail)
    else:
        monkeypatch.setattr(HostsFile, "put", fail)
    said: list[str] = []
    with pytest.raises(type(fault)):
        rotate(home.hosts, host, None, said.append)
    assert home.hosts.named("edge1").token == host.token
    assert names(owned) == before
    assert "revoked again" in said[0]
    monkeypatch.undo()
    with EdgeClient(host) as client:
        client.revoke_token("steady")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_what_fails_afterwards_leaves_both_and_says_how_to_end_the_old(
    home: Home, owned: RunningAgent, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """The hosts file has the new one by then."""
    host = admin_of(owned, home, "steady")

    def fail(client: EdgeClient, name: str) -> None:
        raise fault

    said: list[str] = []
    with monkeypatch.context() as patched, pytest.raises(type(fault)):
        patched.setattr(EdgeClient, "revoke_token", fail)
        rotate(home.hosts, host, None, said.append)
    assert "client tokens revoke steady --host edge1" in said[1]
    new = home.hosts.named("edge1")
    with EdgeClient(host) as old, EdgeClient(new) as client:
        assert (old.access().token, client.access().token) == ("steady", "steady.2")
        client.revoke_token("steady")
    with EdgeClient(owned.host) as client:
        client.revoke_token("steady.2")


def test_a_token_that_could_not_be_taken_back_is_named(
    home: Home, owned: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads it can end it."""
    host, said = admin_of(owned, home, "steady"), list[str]()

    def fail(*_: object) -> None:
        raise Unreachable("gone")

    with monkeypatch.context() as patched, pytest.raises(Unreachable):
        patched.setattr(rotation, "_try_out", fail)
        patched.setattr(EdgeClient, "revoke_token", fail)
        rotate(home.hosts, host, None, said.append)
    assert "client tokens revoke steady.2 --host edge1" in said[1]
    with EdgeClient(owned.host) as client:
        for name in ("steady", "steady.2"):
            client.revoke_token(name)


def test_a_token_from_elsewhere_is_not_rotated(home: Home, owned: RunningAgent) -> None:
    """A file, a command or a variable has it: the new one could not be kept there. Nothing is made."""
    home.writes("token", TOKEN)
    home.hosts.put(replace(owned.host, name="edge1", token=None, token_file=str(home.folder / "token")))
    before = names(owned)
    done = home.client("tokens", "rotate")
    assert (done.returncode, "comes from elsewhere than the hosts file" in done.stderr) == (2, True)
    host = admin_of(owned, home, "raced")
    home.hosts.put(replace(host, token="changed by somebody else"))
    with pytest.raises(HostError, match="changed meanwhile"):
        rotate(home.hosts, host, None, print)
    with EdgeClient(owned.host) as client:
        client.revoke_token("raced")
    assert names(owned) == before


def test_who_is_no_admin_cannot_rotate(home: Home, owned: RunningAgent) -> None:
    """And is told who can help."""
    home.knows(owned)
    assert home.client("tokens", "create", "reader", "--scope", "read", "--save-as", "reader").returncode == 0
    done = home.client("tokens", "rotate", "--host", "reader")
    assert (done.returncode, "needs the scope admin" in done.stderr) == (4, True)
    assert home.client("tokens", "revoke", "reader", "--host", "edge1").returncode == 0


def test_names_of_successors() -> None:
    """A number is added, and one that is there counts up; names stay within what agents take."""
    assert successor("first", ()) == "first.2"
    assert successor("laptop.2", ("laptop.2", "laptop.3")) == "laptop.4"
    assert successor("pi-4", ()) == "pi-4.2"
    assert len(successor("x" * 64, ())) <= 64


def test_the_audit_log_is_shown(home: Home, owned: RunningAgent) -> None:
    """Newest first; JSON has all, and the table says where it goes on."""
    home.knows(owned)
    assert home.client("tokens", "create", "seen", "--scope", "read").returncode == 0
    assert home.client("tokens", "revoke", "seen").returncode == 0
    done = home.client("tokens", "audit", "--limit", "2")
    lines = done.stdout.splitlines()
    assert "token.revoke" in lines[1]
    assert "seen (read)" in lines[2]
    assert "there is more: --before" in done.stderr
    found = json.loads(home.client("tokens", "audit", "--limit", "2", "-o", "json").stdout)["hosts"]["edge1"]
    assert [entry["action"] for entry in found["entries"]] == ["token.revoke", "token.create"]
    older = home.client("tokens", "audit", "--limit", "1", "--before", str(found["next"]), "-o", "csv")
    row = next(csv.DictReader(io.StringIO(older.stdout)))
    assert int(row["number"]) < found["entries"][1]["number"]

"""The hosts file: private, edited in place, and resolved in a fixed order."""

import json
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from client.errors import HostError, NotTrusted
from client.sdk.account import Account
from client.sdk.hosts import Host, HostsFile, normalised_url
from client.sdk.project_file import NotAgreed
from client.sdk.trust import tls_context
from image_model.catalog import SAMPLES_FOLDER
from server.http.tls import ensure_certificate
from tests.agents import TOKEN, RunningAgent
from tests.home import Home

EDGE1 = Host("edge1", "https://192.0.2.1:8080", certificate="PEM", token="secret", groups=("pi", "lab"))
EDGE2 = Host("edge2", "https://192.0.2.2:8080", token_file="~/t", groups=("pi",))
BEHIND = Host("behind", "https://board:8080", certificate="PEM", tunnel=Account("pi@board:2222", "/k", "/known"))


@pytest.fixture
def file(tmp_path: Path) -> HostsFile:
    hosts = HostsFile(tmp_path / "hosts.toml")
    hosts.put(EDGE1)
    hosts.put(EDGE2)
    return hosts


def test_a_host_is_read_as_it_was_written(file: HostsFile) -> None:
    """Every field survives, and nobody else can read the file."""
    assert file.named("edge1") == EDGE1
    assert file.named("edge2") == EDGE2
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_tunnel_is_read_as_it_was_written(file: HostsFile) -> None:
    """The login through which a host is reached survives, changes with its host, and goes with it."""
    file.put(BEHIND)
    file.put(replace(EDGE1, name="edge3"))
    assert file.named("behind") == BEHIND
    other = replace(BEHIND, tunnel=Account("bastioned"))
    file.put(other)
    assert file.named("behind") == other
    file.put(replace(BEHIND, tunnel=None))
    assert file.named("behind").tunnel is None
    file.put(BEHIND)
    file.remove("behind")
    assert "tunnel" not in file.path.read_text()
    assert list(file.hosts()) == ["edge1", "edge2", "edge3"]


def test_a_tunnel_makes_no_address_loopback() -> None:
    """Plain http stays refused: what is behind a tunnel has a certificate, wherever its URL points."""
    plain = Host("behind", "http://127.0.0.1:8080", token="secret", tunnel=Account("board"))
    assert not plain.is_loopback
    with pytest.raises(NotTrusted, match="not encrypted"):
        tls_context(plain)


def a_certificate(home: Home) -> str:
    return ensure_certificate(home.folder / "tls").certificate_path.read_text()


def test_ls_names_the_tunnel(file: HostsFile, home: Home) -> None:
    """Whoever looks at the hosts sees how each is reached."""
    home.hosts.put(replace(BEHIND, certificate=a_certificate(home)))
    (row,) = json.loads(home.client("hosts", "ls", "-o", "json").stdout)["hosts"]
    assert (row["url"], row["tunnel"]) == ("https://board:8080", "ssh://pi@board:2222")


def test_without_asyncssh_a_tunnel_says_what_to_install(home: Home) -> None:
    """The light client has no SSH; everything but hosts behind tunnels works without."""
    home.hosts.put(replace(BEHIND, certificate=a_certificate(home)))
    (home.folder / "asyncssh.py").write_text("raise ImportError\n")
    done = home.client("hosts", "test", "behind", PYTHONPATH=str(home.folder))
    assert (done.returncode, "needs asyncssh" in done.stdout, "extra `boards`" in done.stdout) == (1, True, True), done


def test_comments_and_other_hosts_survive_a_change(file: HostsFile) -> None:
    """The file belongs to its user: what edgerun does not touch stays as it was."""
    file.path.write_text("# my boards\n" + file.path.read_text())
    file.put(Host("edge1", "https://192.0.2.9:1"))
    text = file.path.read_text()
    assert text.startswith("# my boards\n")
    assert file.named("edge1").url == "https://192.0.2.9:1"
    assert file.named("edge1").token is None
    assert file.named("edge2") == EDGE2


def test_a_file_that_others_can_read_is_refused(file: HostsFile) -> None:
    """The complaint says which command repairs it."""
    file.path.chmod(0o644)
    with pytest.raises(HostError) as caught:
        file.hosts()
    assert caught.value.hint == f"chmod 600 {file.path}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not toml [", "not valid TOML"),
        ("[hosts.a]\ntoken = 'x'\n", "host a has no url"),
        ("[hosts.a]\nurl = 'https://x'\ncolour = 1\n", "unknown field colour"),
        ("[hosts.a]\nurl = 'https://x'\ntunnel = 'board'\n", "an SSH login is a table"),
        ("[hosts.a]\nurl = 'https://x'\ntunnel = {place = 'board', port = 1}\n", "an SSH login is a table"),
        ("[hosts.a]\nurl = 'https://x'\ntunnel = {place = '-oProxyCommand=x'}\n", "no place to log in"),
        ("[hosts.a]\nurl = 'http://127.0.0.1:1'\ntunnel = {place = 'board'}\n", "has an https URL"),
    ],
)
def test_a_broken_file_is_named_not_overwritten(file: HostsFile, text: str, complaint: str) -> None:
    """Neither reading nor writing goes on with a file that cannot be read."""
    file.path.write_text(text)
    with pytest.raises(HostError, match=complaint):
        file.hosts()
    if "TOML" in complaint:
        with pytest.raises(HostError, match=complaint):
            file.put(EDGE1)
        assert file.path.read_text() == text


def test_the_host_is_chosen_in_order(file: HostsFile, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """--host, then EDGERUN_HOST, then ./edgerun.toml, then the current host."""

    def chosen(*wanted: str) -> list[str]:
        return [host.name for host in file.choose(wanted)]

    with pytest.raises(HostError, match="known hosts: edge1, edge2"):
        chosen()
    file.use("edge1")
    assert chosen() == ["edge1"]
    Path("edgerun.toml").write_text('host = "edge2"\n')
    with pytest.raises(NotAgreed, match=r"edgerun\.toml chooses 'edge2', and you have not agreed"):
        chosen()
    assert chosen("edge1") == ["edge1"]
    assert file.use_project() == ["edge2"]
    assert chosen() == ["edge2"]
    monkeypatch.setenv("EDGERUN_HOST", "edge1 edge2")
    assert chosen() == ["edge1", "edge2"]
    assert chosen("edge2") == ["edge2"]
    assert chosen("@pi", "edge1") == ["edge1", "edge2"]
    assert [host.name for host in file.choose(every=True)] == ["edge1", "edge2"]


def test_the_only_host_needs_no_choice(file: HostsFile, home: Home) -> None:
    """With one host known there is nothing to ask."""
    file.remove("edge2")
    assert [host.name for host in file.choose()] == ["edge1"]


@pytest.mark.parametrize("wanted", ["nosuch", "@nogroup", "ftp://x:1"])
def test_what_is_no_host_is_said_so(file: HostsFile, wanted: str) -> None:
    """The error lists what there is instead."""
    with pytest.raises(HostError):
        file.choose([wanted])


def test_an_address_finds_the_host_that_is_known_there(file: HostsFile) -> None:
    """Pin and token count for the address too; an unknown address is a host without either."""
    assert file.resolve("192.0.2.1:8080") == [EDGE1]
    assert file.resolve("https://192.0.2.1:8080/")[0] == EDGE1
    assert file.resolve("192.0.2.77:1") == [Host("192.0.2.77:1", "https://192.0.2.77:1")]
    assert file.resolve("localhost:1")[0].url == "http://localhost:1"


@pytest.mark.parametrize(
    "address",
    ["", "https://", "file:///etc/passwd", "https://:80", "https://a:0", "https://a:x", "https://b@a", "https://["],
)
def test_addresses_that_are_none(address: str) -> None:
    """What is not an agent's address is refused."""
    with pytest.raises(HostError):
        normalised_url(address)


def test_removing_the_current_host_leaves_none_current(file: HostsFile) -> None:
    """A dangling choice would point to nothing."""
    file.use("edge1")
    assert file.remove("edge1")
    assert not file.remove("edge1")
    assert file.current() is None


def test_tokens_come_from_where_they_are_kept(tmp_path: Path) -> None:
    """The environment where it is said for whom, then file or command, then the entry itself."""
    token_file = tmp_path / "token"
    token_file.write_text("from file\n")
    token_file.chmod(0o600)
    assert Host("a", "https://a", token_file=str(token_file)).secret({}) == "from file"
    assert Host("a", "https://a", token_command="echo from command").secret({}) == "from command"
    assert Host("a", "https://a", token="own").secret({}) == "own"
    for_a = {"EDGERUN_TOKEN": "env", "EDGERUN_HOST": "a"}
    assert Host("a", "https://a", token="own").secret(for_a) == "env"
    assert Host("b", "https://b", token="own").secret(for_a) == "own"
    assert Host("a:1", "https://a:1").secret({"EDGERUN_TOKEN": "env", "EDGERUN_HOST": "a:1"}) == "env"
    for others in ({}, {"EDGERUN_HOST": "b"}, {"EDGERUN_HOST": "a b"}, {"EDGERUN_HOST": "@a"}):
        with pytest.raises(HostError, match="not said to be for this host"):
            Host("a", "https://a").secret({"EDGERUN_TOKEN": "env", **others})
    with pytest.raises(HostError, match="no header carries"):
        Host("a", "https://a", token="a\r\nX: b").secret({})
    assert Host("a", "https://a").secret({}) is None
    token_file.chmod(0o644)
    with pytest.raises(HostError, match="readable by others"):
        Host("a", "https://a", token_file=str(token_file)).secret({})
    with pytest.raises(HostError, match="token file"):
        Host("a", "https://a", token_file=str(tmp_path / "none")).secret({})
    with pytest.raises(HostError, match="token command"):
        Host("a", "https://a", token_command="false").secret({})


def test_a_host_does_not_show_its_token() -> None:
    """Neither repr nor str hold the secret."""
    assert "secret" not in repr(EDGE1)
    assert "secret" not in f"{EDGE1}"


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    """Hosts added at the same time are all there."""
    path = tmp_path / "hosts.toml"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: HostsFile(path).put(Host(f"h{n}", f"https://h{n}:1")), range(24)))
    assert len(HostsFile(path).hosts()) == 24


def test_plain_curl_reaches_a_secured_agent_and_its_files_go_with_the_host(
    home: Home, secured_agent: RunningAgent
) -> None:
    """`$(client hosts curl NAME)PATH` works with certificate and token, and leaves nothing behind `hosts rm`."""
    command = home.knows(secured_agent).client("hosts", "curl", "edge1").stdout.strip()
    assert TOKEN not in command
    shell = f"{command}/v1/classify --silent --data-binary @{SAMPLES_FOLDER / 'digit-6.png'}"
    reply = json.loads(subprocess.run(shell.split(), capture_output=True, check=True, timeout=60).stdout)
    assert reply["predictions"][0]["label"] == "6"
    folder = home.hosts.curl_folder
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    home.client("hosts", "rm", "edge1")
    assert list(folder.iterdir()) == []

"""Who is told a token: the host it is for, and nobody else."""

import json
from pathlib import Path

import pytest

from client.errors import EdgeError
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from tests.agents import TOKEN, RunningAgent
from tests.home import Home
from tests.recording import recording
from tests.terminals import on_a_terminal


def test_all_hosts_are_not_told_one_token(home: Home, secured_agent: RunningAgent) -> None:
    """EDGERUN_TOKEN goes to the host that EDGERUN_HOST names; others use their own, or are not asked."""
    home.hosts.put(Host("edge1", secured_agent.url, secured_agent.host.certificate))
    with recording() as own, recording() as none:
        home.hosts.put(own.host("own", token="its own"))
        home.hosts.put(none.host("none"))
        done = home.client("jobs", "ls", "--all", "-o", "json", EDGERUN_TOKEN=TOKEN, EDGERUN_HOST="edge1")
        assert list(json.loads(done.stdout)["hosts"]) == ["edge1"]
        assert (set(own.tokens), none.requests) == ({"Bearer its own"}, [])
        assert "none: EDGERUN_TOKEN is set, but not said to be for this host" in done.stderr
        assert "set EDGERUN_HOST=none as well" in done.stderr
        assert home.client("models", "ls", "--host", "edge1", EDGERUN_TOKEN=TOKEN).returncode == 2


@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_folder_does_not_choose_who_is_asked(home: Home, token: str) -> None:
    """A stray edgerun.toml is refused until somebody agrees, and again once it says something else."""
    with recording() as stray:
        (home.folder / "edgerun.toml").write_text(f'host = "http://127.0.0.1:{stray.port}"\n')
        refused = home.client("models", "ls", EDGERUN_TOKEN=token)
        assert refused.returncode == 2
        assert "you have not agreed to that" in refused.stderr
        assert "client hosts use --here" in refused.stderr
        assert stray.requests == []
        assert home.client("hosts", "use", "--here").returncode == 0
        home.client("models", "ls", EDGERUN_TOKEN=token)
        assert (stray.requests == [], stray.tokens) == (bool(token), [])
        (home.folder / "edgerun.toml").write_text(f'host = ["http://localhost:{stray.port}"]\n')
        assert "not agreed" in home.client("models", "ls").stderr


def test_a_person_is_asked_once(home: Home, secured_agent: RunningAgent) -> None:
    """On a terminal it is a question; no is no, and yes is remembered."""
    home.knows(secured_agent).hosts.put(Host("other", "https://192.0.2.1:1"))
    (home.folder / "edgerun.toml").write_text('host = "edge1"\n')
    code, sent = on_a_terminal(home, "client", "models", "ls", typed=b"n\n")
    assert (code, "chooses 'edge1'. Talk to it" in sent, "not agreed" in sent) == (2, True, True)
    code, sent = on_a_terminal(home, "client", "models", "ls", typed=b"y\n")
    assert (code, "digits" in sent) == (0, True)
    assert "digits" in home.client("models", "ls").stdout
    code, sent = on_a_terminal(home, "client", "models", "ls")
    assert "chooses" not in sent


@pytest.mark.parametrize("content", [b"host = 1", b"\xff\xfe", b"host = [1]", b"host ="])
def test_a_project_file_that_is_none_is_an_error(home: Home, content: bytes) -> None:
    """It is said which file it is, and nothing else happens."""
    (home.folder / "edgerun.toml").write_bytes(content)
    done = home.client("models", "ls")
    assert done.returncode == 2
    assert "./edgerun.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_does_not_follow_a_redirect(home: Home) -> None:
    """Whoever an agent points to is not asked."""
    with recording() as away:
        elsewhere = {"Location": f"http://127.0.0.1:{away.port}/v1/models"}
        answers = {"/v1/models": (307, elsewhere, b""), "/v1/info": (302, elsewhere, b"")}
        with recording(answers) as first, EdgeClient(first.host(token=TOKEN)) as client:
            for call in (client.models, client.info):
                with pytest.raises(EdgeError):
                    call()
            assert set(first.tokens) == {f"Bearer {TOKEN}"}
        assert away.requests == []


def test_curl_is_not_told_to_send_a_token_readable(home: Home, tmp_path: Path) -> None:
    """Plain HTTP beyond loopback is refused there too, before a file is written."""
    home.hosts.put(Host("far", "http://192.0.2.1:8080", token=TOKEN))
    done = home.client("hosts", "curl", "far")
    assert done.returncode == 4
    assert "not encrypted" in done.stderr
    assert not home.hosts.curl_folder.exists()

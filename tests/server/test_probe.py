"""The container's health check."""

import json
import os
import subprocess
import sys
from pathlib import Path

from contract.paths import TLS_SERVER_NAME
from tests.agents import TOKEN, RunningAgent, running_agent

SNI = {"sni_hostname": TLS_SERVER_NAME}


def probe(data: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server.http.probe", *arguments]
    environment = {**os.environ, "EDGERUN_DATA": str(data)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_it_finds_an_agent_well_with_and_without_tls(agent: RunningAgent, secured_agent: RunningAgent) -> None:
    """No token and no curl is needed."""
    assert (probe(agent.data).returncode, probe(secured_agent.data).returncode) == (0, 0)


def test_it_fails_where_no_agent_answers(tmp_path: Path) -> None:
    """Never started, and gone without a word."""
    done = probe(tmp_path)
    assert (done.returncode, "No such file" in done.stderr) == (1, True)
    (tmp_path / "agent.json").write_text('{"url": "http://127.0.0.1:9"}')
    done = probe(tmp_path)
    assert (done.returncode, "refused" in done.stderr) == (1, True)


def test_readiness_needs_no_token_either(agent: RunningAgent, secured_agent: RunningAgent) -> None:
    """Whoever can read the data folder may ask; a probe that is told something else says how it is used."""
    for each in (agent, secured_agent):
        assert probe(each.data, "--ready").returncode == 0
    done = probe(agent.data, "--reddy")
    assert (done.returncode, "[--ready]" in done.stderr) == (2, True)


def test_another_secret_does_not_tell(tmp_path: Path) -> None:
    """Of an agent before, for one; whether it lives needs none."""
    with running_agent(tmp_path / "data", "--workers", "1", token=TOKEN) as agent:
        document = json.loads((agent.data / "agent.json").read_text())
        (agent.data / "agent.json").write_text(json.dumps(document | {"probe_secret": "another"}))
        done = probe(agent.data, "--ready")
        assert (done.returncode, "probe: 401" in done.stderr) == (1, True)
        assert probe(agent.data).returncode == 0


def test_its_secret_opens_readiness_alone(secured_agent: RunningAgent) -> None:
    """And is readable by the agent's own user."""
    path = secured_agent.data / "agent.json"
    assert path.stat().st_mode & 0o077 == 0
    headers = {"Authorization": f"Bearer {json.loads(path.read_text())['probe_secret']}"}
    with secured_agent.http() as http:
        http.headers.update(headers)
        assert http.get("/health/ready", extensions=SNI).status_code == 200
        for other in ("/v1/info", "/metrics", "/v1/telemetry", "/health/ready/", "/openapi.json"):
            assert http.get(other, extensions=SNI).status_code == 401

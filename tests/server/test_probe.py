"""The container's health check."""

import os
import subprocess
import sys
from pathlib import Path

from tests.agents import RunningAgent


def probe(data: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server.http.probe"]
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

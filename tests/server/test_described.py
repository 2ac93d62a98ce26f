"""Every answer is one that the agent's OpenAPI description allows: schemathesis makes the requests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from contract import paths
from server.http.openapi import TOKEN_SCHEME
from server.http.scopes import RULES
from tests.agents import TOKEN, RunningAgent, running_agent

ROOT = Path(__file__).parents[2]
SEED = "13"
NOT_DESCRIBED = {("GET", paths.PAGE), ("GET", paths.STATIC), ("GET", paths.OPENAPI)}


def fuzz(*options: str) -> subprocess.CompletedProcess[str]:
    """What `python -m scripts.fuzz_api` printed, and how it ended."""
    command = [sys.executable, "-m", "scripts.fuzz_api", "--seed", SEED, *options]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_answers_fit_their_description() -> None:
    """A few requests to every operation, those that succeed among them; one agent, no more than a minute."""
    done = fuzz("--examples", "2", "--phases", "examples,fuzzing")
    assert done.returncode == 0, done.stdout + done.stderr
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    assert int(tested[1]) == len(RULES) - len(NOT_DESCRIBED)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_answers_fit_their_description() -> None:
    """Also bounds, missing and doubled parameters, other methods, wrong tokens, and requests that build on others."""
    done = fuzz("--examples", "20")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_option_is_told_before_anything_is_started() -> None:
    """One line says what is wrong."""
    for options in (["--examples", "0"], ["--only", "("], ["--host", "nobody-knows"]):
        done = fuzz(*options)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()


def test_the_description_names_the_scopes_of_every_path(agent: RunningAgent) -> None:
    """Any of several scopes will do, none are named where every token will, and what is open asks for no token."""
    document = agent.get(paths.OPENAPI).json()
    assert document["components"]["securitySchemes"][TOKEN_SCHEME]["scheme"] == "bearer"
    security = {
        (method.upper(), path): operation["security"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert security.keys() == RULES.keys() - NOT_DESCRIBED
    assert security["GET", paths.HEALTH_LIVE] == []
    assert security["POST", paths.SESSION] == []
    assert security["GET", paths.MODELS] == [{TOKEN_SCHEME: []}]
    assert security["POST", paths.CLASSIFY] == [{TOKEN_SCHEME: ["infer"]}]
    assert security["GET", paths.JOBS] == [{TOKEN_SCHEME: ["read"]}, {TOKEN_SCHEME: ["run"]}]


def test_open_metrics_are_described_as_open(tmp_path: Path) -> None:
    """What the agent was told to answer to everybody."""
    with running_agent(tmp_path / "data", "--workers", "1", "--open-metrics", "on", token=TOKEN) as agent:
        assert agent.get(paths.OPENAPI).json()["paths"][paths.METRICS]["get"]["security"] == []

"""docs/protocols.md shows what works: its commands, and its programs with Triton's clients, on an agent with TLS."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import TOKEN, RunningAgent, running_agent
from tests.home import Home
from tests.images import digit
from tests.server.openinference.conftest import grpc_port

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "protocols.md").read_text()


def blocks(language: str) -> list[str]:
    """The code of a language in the document, but what is marked as not run."""
    text = re.sub(r"<!-- not run by[^>]*-->\n```.*?```", "", DOCUMENT, flags=re.DOTALL)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent with token and TLS on both ports."""
    folder = tmp_path_factory.mktemp("documented")
    with running_agent(folder, "--grpc-port", "0", "--workers", "1", token=TOKEN) as running:
        yield running


def test_the_commands_answer_as_it_says(guarded: RunningAgent, home: Home) -> None:
    """In the folder of a checkout, with a host named edge1."""
    home.knows(guarded)
    (commands,) = blocks("sh")
    path = f"{Path(sys.executable).parent}:{home.environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=ROOT,
        env={**home.environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = re.search(r'`\{"model_name":"digits",\.\.\.,"data":\[("[^"]+")\]\}`', DOCUMENT)
    assert said is not None
    assert f'"data":[{said[1]}]' in done.stdout


def test_the_programs_run(guarded: RunningAgent, home: Home) -> None:
    """As they stand, but for the address."""
    home.knows(guarded)
    assert home.client("hosts", "prometheus", "edge1", "--folder", str(home.folder)).returncode == 0
    (home.folder / "digit.png").write_bytes(digit(3))
    rest, grpc, own = blocks("python")
    given = f"import numpy\npixels = numpy.zeros((1, 8, 8, 1), 'int8')\ntoken = {TOKEN!r}\n"
    asked = "\nprint(agent.get_server_metadata(headers={'authorization': f'Bearer {token}'}))"
    for program in (rest, grpc + asked, own):
        code = program.replace("192.0.2.7:8080", guarded.url.partition("//")[2])
        code = code.replace("192.0.2.7:8081", f"127.0.0.1:{grpc_port(guarded)}")
        done = subprocess.run(
            [sys.executable, "-c", given + code],
            cwd=home.folder,
            env=home.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()

"""What the README shows of CHI@Edge runs on the loopback site."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chi_at_edge.state import AGENT_IMAGE, Testbed
from tests.home import Home

ROOT = Path(__file__).parents[2]


def blocks() -> list[str]:
    """The shell blocks of the section, in their order."""
    section = (ROOT / "README.md").read_text().split("\n## On CHI@Edge\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def run(script: str, home: Home) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{home.environment['PATH']}"
    environment = {**home.environment, "PATH": path}
    command = ["bash", "-c", f"set -eux\n{script}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.slow
def test_the_commands_for_a_lease(student: Home, testbed: Testbed) -> None:
    """Everything but the file with the credentials, which this user exported already, and the slow installing."""
    script = blocks()[0].replace("source app-cred-edge-openrc.sh\n", "")
    done = run(script.replace("--name leased", f"--name leased --image {AGENT_IMAGE}"), student)
    assert done.returncode == 0, done.stderr
    assert testbed.left() == ([], [])
    assert [lease.name for lease in testbed.leases.values()] == ["demo"]


def test_the_site_for_newcomers(testbed: Testbed, tmp_path: Path) -> None:
    """In one terminal, from nothing to nothing; the fixture is here for machines without user namespaces."""
    newcomer = Home(tmp_path / "newcomer")
    newcomer.folder.mkdir()
    done = run(blocks()[1], newcomer)
    assert done.returncode == 0, done.stderr
    assert "litert" in done.stdout
    assert not list((newcomer.folder / "state" / "edgerun" / "deployments").glob("*.json"))

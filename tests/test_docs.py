"""The documentation is true: what the README shows runs, and the lists in docs/ are complete."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from client.cli.app import app as client_app
from contract.codes import ErrorCode
from provisioning.cli import app as provision_app
from server.errors import FAULTS
from tests.conftest import SuppliedModel
from tests.home import Home

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"(?P<mark><!-- not run by[^>]*-->\n)?```(?P<language>sh|python)\n(?P<code>.*?)```", re.DOTALL)


def script() -> str:
    """All blocks of the README that are meant to run, in their order, as one shell script."""
    parts = ["set -eux"]
    for block in BLOCK.finditer(README):
        if not block["mark"]:
            code = block["code"]
            parts.append(code if block["language"] == "sh" else f"python - <<'PYTHON'\n{code}PYTHON")
    return "\n".join(parts)


def test_the_readme_runs_from_top_to_bottom(home: Home, mobilenet: SuppliedModel) -> None:
    """A new user who types what it says, in one terminal, sees no error, and nothing runs afterwards."""
    environment = {**home.environment, "EDGERUN_MODEL_MIRROR": mobilenet.mirror, "PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", "-c", script()], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "macaw" in done.stdout
    assert not list((home.folder / "state" / "edgerun" / "deployments").glob("*.json"))


def test_the_readme_shows_every_command() -> None:
    """Nobody can use what the README does not mention."""
    commands = {command.name for command in client_app.registered_commands if command.name}
    groups = {group.name for group in client_app.registered_groups}
    for name in filter(None, (*commands, *groups)):
        assert f"client {name}" in README, name
    for command in provision_app.registered_commands:
        assert f"provision {command.name}" in README, command.name
    for group in provision_app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            name = f"provision {group.typer_instance.info.name} {command.name}"
            assert name in README, name


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_code_is_explained(code: ErrorCode) -> None:
    """docs/errors.md has a row for each code with the status it is answered with."""
    assert f"| `{code}` | {FAULTS[code].status.value} |" in (ROOT / "docs" / "errors.md").read_text()


def test_links_lead_somewhere() -> None:
    """Relative links in the documentation name files that exist."""
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_benchmark_is_listed() -> None:
    """benchmarks/README.md names each script that can be run."""
    listed = (ROOT / "benchmarks" / "README.md").read_text()
    for path in (ROOT / "benchmarks").glob("*.py"):
        if 'if __name__ == "__main__":' in path.read_text() and not path.stem.startswith("bare"):
            assert f"benchmarks.{path.stem}`" in listed

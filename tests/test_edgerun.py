"""`edgerun`: one command and one import, for machines where `client` or `server` is somebody else's."""

import subprocess
import sys
from pathlib import Path

import pytest

import client
import edgerun
from tests.agents import RunningAgent
from tests.home import Home

EDGERUN = Path(sys.executable).with_name("edgerun")


def run(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user of this home does."""
    return subprocess.run(
        [EDGERUN, *words], env=home.environment, cwd=home.folder, capture_output=True, text=True, check=False
    )


def test_the_import_has_all_that_client_has() -> None:
    """The same objects under the name that nothing else has."""
    assert edgerun.EdgeClient is client.EdgeClient
    assert set(edgerun.__all__) == set(client.__all__)
    assert all(getattr(edgerun, name) is getattr(client, name) for name in client.__all__)


def test_it_lists_everything(home: Home) -> None:
    """The client's commands, and the two other programs."""
    done = run(home, "--help")
    assert done.returncode == 0
    for word in ("classify", "bench", "jobs", "provision", "server"):
        assert f"\n  {word} " in done.stdout
    assert "edgerun classify parrot.jpg --host edge1" in done.stdout
    assert "client classify" not in done.stdout
    assert run(home, "--version").stdout.startswith("edgerun ")


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (("jobs", "show", "--help"), "Usage: edgerun jobs show [OPTIONS] JOB_ID"),
        (("provision", "up", "--help"), "Usage: edgerun provision up [OPTIONS]"),
        (("server", "--help"), "usage: edgerun server ["),
        (("server", "write-model", "--help"), "usage: edgerun server write-model ["),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_each_program_knows_what_it_was_called(home: Home, words: tuple[str, ...], usage: str) -> None:
    """Usage lines can be typed as they are."""
    done = run(home, *words)
    assert done.returncode == 0
    assert done.stdout.startswith(usage)


def test_a_picture_is_classified(home: Home, agent: RunningAgent) -> None:
    """As by `client`; hints name `edgerun`."""
    done = run(home.knows(agent), "classify", "nothing-here.jpg", "--host", "edge1")
    assert done.returncode != 0
    listed = run(home, "models", "ls", "--host", "edge1", "-o", "json")
    assert (listed.returncode, '"digits"' in listed.stdout) == (0, True)
    missing = run(home, "models", "show", "nosuch", "--host", "edge1")
    assert missing.returncode == 5
    assert "`edgerun models ls`" in missing.stderr
    assert "edgerun: " in missing.stderr


def test_a_wrong_word_is_said_as_by_any_command(home: Home) -> None:
    """Exit code 2, what was meant, and where help is."""
    done = run(home, "clasify")
    assert done.returncode == 2
    assert "Try 'edgerun -h' for help" in done.stderr


@pytest.mark.parametrize(
    ("words", "missing", "extra"),
    [
        (("classify", "x.jpg"), "typer", "client"),
        (("provision", "list"), "typer", "boards"),
        (("server", "--port", "0"), "uvicorn", "server"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_what_is_not_installed_is_named_with_its_extra(
    home: Home, words: tuple[str, ...], missing: str, extra: str
) -> None:
    """A device has the agent alone, a laptop the client alone: one line, no traceback."""
    hide = f"import sys; sys.modules[{missing!r}] = None; from edgerun.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", hide, *words]
    done = subprocess.run(command, env=home.environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"edgerun: {missing} is not installed; it comes with pip install 'edgerun[{extra}]'\n"

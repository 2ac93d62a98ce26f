"""Every `--help`, of all programs: whole sentences, no types of Python's, as wide as the terminal."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import typer.main

from client import program_names
from client.cli.app import app as client
from client.help_texts import WIDTH_MAX, polish
from client.hints import HINTS
from contract.codes import ErrorCode
from edgerun.commands import app as edgerun
from provisioning.cli import app as provision
from server.errors import FAULTS

PROGRAMS = {"client": client, "provision": provision, "edgerun": edgerun}
LEAKED = re.compile(r"<[a-z\[]|list\[|typing\.|\{[a-z_]+\}\.*|\bNone\b|<class")
COLUMNS = (80, 120, 200)


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A command and all below it, by what is typed for them."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}")


def help_of(app: typer.Typer, program: str) -> Iterator[tuple[str, str]]:
    """The help of every command of a program as it is at the width of the terminal."""
    root = typer.main.get_command(app)
    polish(root)
    for path, command in commands(root, program):
        context = typer.Context(command, info_name=path, max_content_width=root.context_settings["max_content_width"])
        yield path, command.get_help(context)


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_read_without_knowing_python(program: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No leaked type, no cut summary; lines use the width there is, and only an example is longer."""
    monkeypatch.setenv("COLUMNS", str(columns))
    longest = 0
    for path, text in help_of(PROGRAMS[program], program):
        assert not LEAKED.search(text), f"{path}: {LEAKED.search(text)}"
        for line in text.splitlines():
            assert not re.search(r"[a-z,]\.\.\.$", line), f"{path}: {line}"
            if re.match(r" {4}\S*(client|provision|edgerun|\$)", line):
                continue  # an example, which is copied
            longest = max(longest, len(line))
    assert longest <= min(columns, WIDTH_MAX)
    assert columns < WIDTH_MAX or longest > 100


@pytest.mark.parametrize("program", PROGRAMS)
def test_examples_stand_on_lines_of_their_own(program: str) -> None:
    """So that they can be copied."""
    texts = dict(help_of(PROGRAMS[program], program))
    examples = [line for text in texts.values() for line in text.splitlines() if line.startswith("    ")]
    assert any(line.strip().startswith(("client ", "provision ")) for line in examples)
    assert not any(" | client " in line or " | provision " in line for line in examples)


def test_up_stands_before_what_is_needed_once_a_year() -> None:
    """The help lists what one begins with first."""
    listed = list(typer.main.get_command(provision).commands)  # type: ignore[attr-defined]
    assert listed.index("up") < listed.index("down") < listed.index("orphans")


@pytest.mark.parametrize("text", ["see `client jobs ls`", "client jobs ls", "it (client jobs ls)", "a\nclient jobs ls"])
def test_programs_are_called_as_they_were_typed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user typed `edgerun`, no other name is said."""
    monkeypatch.setattr(program_names, "_names", {})
    assert program_names.as_typed(text) == text
    program_names.call_all("edgerun")
    assert program_names.as_typed(text) == text.replace("client", "edgerun")
    assert program_names.as_typed("`provision up --name x`") == "`edgerun provision up --name x`"


@pytest.mark.parametrize("text", ["the client closed it", "/srv/client jobs", "my-client jobs", "clients wait"])
def test_other_words_are_left_alone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths, and what is no command."""
    monkeypatch.setattr(program_names, "_names", {"client": "edgerun", "provision": "edgerun provision"})
    assert program_names.as_typed(text) == text


def test_no_hint_of_the_command_line_names_a_request() -> None:
    """What an agent says to programs, the client says in its own words."""
    requests = re.compile(r"\b(GET|PUT|POST|DELETE|curl)\b|/v[12]/|Retry-After|Authorization")
    said = {code: HINTS.get(code, fault.hint or "") for code, fault in FAULTS.items()}
    assert {code: hint for code, hint in said.items() if requests.search(hint)} == {}
    assert set(HINTS) <= set(ErrorCode)

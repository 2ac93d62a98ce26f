"""What the other side says is shown, and not obeyed."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Group
from rich.text import Text

from client.console import complain, note, plain_table, run, say
from client.errors import EdgeError
from client.terminal import GuardedConsole, guarded_streams, json_text
from contract.errors import PROBLEM_MEDIA_TYPE
from image_model.catalog import EMBEDDED_FOLDER, SAMPLES_FOLDER
from tests.agents import RunningAgent, running_agent
from tests.home import Home
from tests.recording import Answer, recording
from tests.terminals import on_a_terminal

CLIPBOARD = "\x1b]52;c;eA==\x07"
HOSTILE = f"{CLIPBOARD}\x1b[2J\x9b1m\x7f\u202egnp\u2066\u200b\u2028[red]x[/red]\r"
SHOWN = r"\x1b]52;c;eA==\x07\x1b[2J\x9b1m\x7f\u202egnp\u2066\u200b\u2028[red]x[/red]\r"
SEVEN = str(SAMPLES_FOLDER / "digit-7.png")


def assert_harmless(sent: str) -> None:
    """What reached a terminal is printable, but for the ends of lines."""
    assert sorted({char for char in sent if not char.isprintable()} - {"\n"}) == []


@pytest.fixture(scope="module")
def odd_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """A real agent whose model `odd` names its classes as an attacker would."""
    folder = tmp_path_factory.mktemp("odd")
    home = Home(folder)
    labels = folder / "labels.txt"
    words = HOSTILE.replace("\u2028", "").strip("\r")  # these end a line of a label file
    labels.write_text("".join(f"=cmd{number}{words}\n" for number in range(10)))
    with running_agent(folder / "data", "--workers", "1", "--allow-commands", "on") as agent:
        home.knows(agent)
        arguments = ["--name", "odd", "--labels", str(labels), "--input-range", "1,0"]
        pushed = home.client("models", "push", str(EMBEDDED_FOLDER / "digits.tflite"), *arguments)
        assert pushed.returncode == 0, pushed.stderr
        yield agent


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_hostile_labels_are_shown_in_every_form(home: Home, odd_agent: RunningAgent, form: str) -> None:
    """A table and a sheet show the escapes; JSON reads back as the very label."""
    arguments = ("classify", SEVEN, "--model", "odd", "-o", form)
    code, sent = on_a_terminal(home.knows(odd_agent), "client", *arguments)
    assert code == 0, sent
    assert_harmless(sent)
    assert "52;c;eA==" in sent
    piped = home.client(*arguments).stdout
    assert_harmless(piped)
    if form == "json":
        label = json.loads(piped)["results"][0]["predictions"][0]["label"]
        assert label.startswith(f"=cmd7{CLIPBOARD}\x1b[2J\x9b1m\x7f\u202egnp\u2066\u200b[red]x")
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(piped)))
        assert all(row["label"].startswith("'=cmd") for row in rows)
        assert float(rows[0]["score"]) > 0.9


def test_colours_of_ours_reach_the_terminal(home: Home, odd_agent: RunningAgent) -> None:
    """On a terminal that takes them, with hostile words between them."""
    _, sent = on_a_terminal(home.knows(odd_agent), "client", "classify", SEVEN, "--model", "odd", TERM="xterm")
    assert "\x1b[1m" in sent
    assert not any(sequence in sent for sequence in ("\x1b]", "\x1b[2J", "\x9b", "\u202e"))


PRINTS = """
import sys
sys.stdout.buffer.write('a\\x1b]52;c;eA==\\x07\\x9b\\u202e\\r\\n50%\\r99%\\tä\\n'.encode() + b'\\xff\\n')
print('\\x1b[2J', file=sys.stderr)
"""
PRINTED = "a\x1b]52;c;eA==\x07\x9b\u202e\r\n50%\r99%\tä\n".encode() + b"\xff\n"


def test_the_output_of_a_program_is_shown_on_a_terminal_and_kept_in_a_pipe(home: Home, odd_agent: RunningAgent) -> None:
    """`run` and `jobs logs`: a terminal gets no sequence and no overwritten line, a pipe the bytes as they are."""
    home.knows(odd_agent)
    code, sent = on_a_terminal(home, "client", "run", "-q", "--save", "ran", "--", "python", "-c", PRINTS)
    assert code == 0, sent
    assert_harmless(sent.replace("\t", ""))
    assert r"a\x1b]52;c;eA==\x07\x9b\u202e" in sent
    assert "50%\n99%\tä\n\\xff\n" in sent
    assert r"\x1b[2J" in sent
    assert (home.folder / "ran" / "stdout.log").read_bytes() == PRINTED
    job = json.loads(home.client("jobs", "ls", "-o", "json").stdout)["jobs"][0]["id"]
    code, sent = on_a_terminal(home, "client", "jobs", "logs", job)
    assert_harmless(sent.replace("\t", ""))
    logs = [str(Path(sys.executable).with_name("client")), "jobs", "logs", job]
    piped = subprocess.run(logs, capture_output=True, check=True, env=home.environment, cwd=home.folder, timeout=120)
    assert piped.stdout == PRINTED


def _problem(detail: str) -> Answer:
    problem = {"type": "x", "title": HOSTILE, "status": 404, "detail": detail, "code": HOSTILE, "hint": f"{HOSTILE}\nx"}
    return 404, {"Content-Type": PROBLEM_MEDIA_TYPE}, json.dumps(problem).encode()


def _json(document: Any) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


JOB = {
    "id": "0a1b2c3d",
    "number": 1,
    "request": {"kind": "command", "name": "job", "spec": {"argv": ["true", HOSTILE]}},
    "state": "failed",
    "created_at": "2026-01-01T00:00:00Z",
    "error": {"code": HOSTILE, "detail": f"{HOSTILE}\nclient: all is well"},
}
LISTED = {**JOB, "kind": "command", "name": HOSTILE, "title": HOSTILE}
TENSOR = {"name": HOSTILE, "shape": [1], "dtype": HOSTILE}
MODEL = {
    "name": HOSTILE,
    "digest": f"sha256:{'0' * 64}",
    "format": "tflite",
    "size_bytes": 1,
    "embedded": False,
    "inputs": [TENSOR],
    "outputs": [TENSOR],
    "task": "tensor",
    "unfit": {"classification": HOSTILE},
    "runtimes": {HOSTILE: {"ok": False, "detail": HOSTILE}},
}
RUNTIME = {
    "name": HOSTILE,
    "installed": True,
    "version": HOSTILE,
    "note": HOSTILE,
    "devices": [{"name": HOSTILE, "available": True, "detail": f"{HOSTILE}\nfake"}],
}
ANSWERS: dict[str, Answer] = {
    "/v1/jobs": _json({"jobs": [LISTED], "counts": {}, "evicted": 0, "stored_bytes": 0, "quota_bytes": 0}),
    "/v1/jobs/0a1b2c3d": _json(JOB),
    "/v1/jobs/0a1b2c3d/result": _problem(HOSTILE),
    "/v1/models": _json({"models": [MODEL], "default": HOSTILE, "default_chosen": True}),
    "/v1/synthetic-models": _json({"models": [{"name": HOSTILE, "title": HOSTILE, "written": False}]}),
    "/v1/models/odd": _json(MODEL),
    "/v1/runtimes": _json({"runtimes": [RUNTIME]}),
    "/v1/models/gone": _problem(f"{HOSTILE}\nclient: all is well"),
    "/v1/info": (500, {"Content-Type": "text/html"}, HOSTILE.encode()),
}


@pytest.mark.parametrize(
    "arguments",
    [
        *(["jobs", "ls"], ["jobs", "ls", "-o", "csv"], ["jobs", "show", "0a1b2c3d"], ["jobs", "ls", "-o", "json"]),
        *(["models", "ls"], ["models", "show", "odd"], ["models", "show", "gone"], ["models", "default"], ["devices"]),
        *(["doctor"], ["hosts", "ls"], ["hosts", "ls", "-o", "csv"], ["telemetry", "--once"]),
        *(["jobs", "watch", "--until-idle"], ["jobs", "results", "0a1b2c3d", "--save", "fetched"]),
    ],
    ids=" ".join,
)
def test_an_agent_of_an_attacker_is_shown_and_not_obeyed(home: Home, arguments: list[str]) -> None:
    """Names, notes, reasons and errors of every kind; a line that is not ours does not look like one."""
    with recording(ANSWERS) as attacker:
        home.hosts.put(attacker.host(f"edge{CLIPBOARD}"))
        _, sent = on_a_terminal(home, "client", *arguments)
        done = home.client(*arguments)
    for text in (sent, done.stdout, done.stderr):
        assert "Traceback" not in text
        assert_harmless(text)
        assert not any(line.startswith(("client: all is well", "fake")) for line in text.splitlines())
    assert "52;c;eA==" in sent


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_everything_that_is_printed_goes_through_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes, errors, lines, tables, prints and tracebacks."""
    terminal = _Terminal()
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)

    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def say_all() -> None:
        note(f"{HOSTILE}\nsecond")
        complain(EdgeError(f"{HOSTILE}\nclient: fake", hint=HOSTILE), "client")
        say(f"{HOSTILE}\nfake")
        print(HOSTILE)
        table = plain_table("a", "b")
        table.add_row(f"{HOSTILE}\nfake", Text(HOSTILE, "bold"))
        GuardedConsole(width=4096).print(Group(table, HOSTILE, Text(f"x\nfake{HOSTILE}")), soft_wrap=True)
        sys.stdout.buffer.write(HOSTILE.encode()[:-3])
        raise RuntimeError(HOSTILE)

    assert run(app, "client", []) == 1
    sent = terminal.getvalue()
    assert_harmless(sent)
    assert sys.stdout is terminal
    assert "RuntimeError: " + SHOWN in sent
    assert sent.count(r"\x1b]52;c;eA==") >= 10
    assert "\n  | second\n" in sent
    assert "\n  | client: fake\n" in sent
    assert not any(line.startswith(("fake", "client: fake")) for line in sent.splitlines())


def test_a_pipe_gets_what_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Only terminals are guarded."""
    with guarded_streams():
        print(HOSTILE)
    assert capsys.readouterr().out == f"{HOSTILE}\n"


def test_json_keeps_what_it_escapes() -> None:
    """Every string reads back, halves of characters and beyond the first plane too."""
    document = {HOSTILE: [HOSTILE, "ä漢👩‍💻", "\ud800", "\U000e0041", 1.5, None]}
    text = json_text(document, indent=2)
    assert_harmless(text)
    assert json.loads(text) == document
    assert "ä漢👩" in text

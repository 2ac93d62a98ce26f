"""Agents that mean harm: every call ends in one clear error, in bounded time and memory, and writes nowhere else."""

import json
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from client.sdk.hosts import Host
from tests.client.hostile_agent import KINDS, hostile
from tests.client.hostile_calls import AT_ONCE, CALLS, JOB
from tests.home import Home
from tests.images import digit

ROOT = Path(__file__).parents[2]
MEMORY_MAX_BYTES = 200 << 20
TIMEOUT_S = 0.5
HEAVY = ("body-endless", "gzip-bomb", "many-values", "wide-text", "many-names", "nested")
"""Kinds that would need memory; the calls to them go one after the other."""
MEMORY_CALLS = ("live", "jobs", "job_result", "job_artifacts", "job_events", "push_model")


def made_calls(folder: Path, hosts: Iterable[Host], calls: Collection[str], at_once: int, asyncio: bool) -> Any:
    """What came of every call to every host, made in a process of its own."""
    order = {"hosts": [asdict(host) for host in hosts], "calls": list(calls), "at_once": at_once, "asyncio": asyncio}
    order["limit_s"] = 300
    environment = Home(folder).environment | {"EDGERUN_TIMEOUT": str(TIMEOUT_S), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.client.hostile_calls"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-30000:]
    return json.loads(done.stdout)


def wrong(found: Any) -> list[list[str]]:
    """Calls that did not end in an error of ours with a documented code."""
    return [
        each
        for each in found["outcomes"]
        if each[2].startswith(("TRACEBACK", "NOTHING")) or each[2].split(" ")[1] not in "3456"
    ]


def tree(folder: Path) -> set[str]:
    """Everything below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


SOME_KINDS = ("silent", "body-drips", "redirect-307", "gzip-bad", "html", "nan", "cut-off", "busy-odd")
SOME_CALLS = ("live", "push_model", "delete_model", "job_result", "job_artifacts", "job_logs", "job_events")
LIGHT = [name for name in KINDS if name not in HEAVY]


def check_calls(folder: Path, kinds: Collection[str], calls: Collection[str], *, asyncio: bool) -> None:
    """Make these calls to these kinds of agents and look at what came of them."""
    with hostile({name: KINDS[name] for name in kinds}) as hosts:
        found = made_calls(folder, hosts.values(), calls, AT_ONCE, asyncio)
    assert wrong(found) == []
    assert len(found["outcomes"]) == len(kinds) * len(calls)
    assert {path.split("/")[0] for path in tree(folder)} <= {"asked", "large.bin"}


def test_every_call_ends_in_one_clear_error(tmp_path: Path) -> None:
    """What is answered wrongly in the usual ways; and nothing is written but into the folder that was named."""
    check_calls(tmp_path, SOME_KINDS, CALLS, asyncio=False)


@pytest.mark.parametrize("asyncio", [False, True])
def test_every_kind_of_answer_ends_in_one_clear_error(tmp_path: Path, asyncio: bool) -> None:
    """One call of each sort: a document, an upload, a deletion, a result, an archive, a log, events."""
    calls = SOME_CALLS if not asyncio else ("live", "job_events")
    check_calls(tmp_path, LIGHT, calls, asyncio=asyncio)


@pytest.mark.slow
@pytest.mark.parametrize("asyncio", [False, True])
def test_every_call_and_every_kind(tmp_path: Path, asyncio: bool) -> None:
    """The whole table."""
    check_calls(tmp_path, LIGHT, CALLS, asyncio=asyncio)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """What would fill it is refused before; one call at a time, so that one call's need is seen."""
    with hostile({name: KINDS[name] for name in HEAVY}) as hosts:
        found = made_calls(tmp_path, hosts.values(), MEMORY_CALLS, 1, False)
    assert wrong(found) == []
    assert found["grown_bytes"] < MEMORY_MAX_BYTES


COMMANDS: Mapping[str, Sequence[str]] = {
    "classify": ("classify", "picture.png"),
    "detect": ("detect", "picture.png", "--model", "x", "--draw", "asked"),
    "bench": ("bench", "--model", "digits", "--iterations", "5", "--save", "asked"),
    "profile": ("profile", "--model", "digits"),
    "run": ("run", "--save", "asked", "--", "true"),
    "run --bundle": ("run", "--bundle", "bundle", "--save", "asked", "--", "true"),
    "open": ("open", "--print"),
    "telemetry --once": ("telemetry", "--once"),
    "telemetry": ("telemetry", "-o", "json"),
    "devices": ("devices",),
    "doctor": ("doctor",),
    "jobs ls": ("jobs", "ls"),
    "jobs watch": ("jobs", "watch", "--until-idle"),
    "jobs show": ("jobs", "show", JOB),
    "jobs logs": ("jobs", "logs", JOB),
    "jobs results": ("jobs", "results", JOB, "--save", "asked"),
    "jobs cancel": ("jobs", "cancel", JOB),
    "jobs rm": ("jobs", "rm", JOB),
    "models ls": ("models", "ls"),
    "models show": ("models", "show", "digits"),
    "models push": ("models", "push", "digits.tflite"),
    "models write": ("models", "write", "resnet20-int8"),
    "models rm": ("models", "rm", "x"),
    "models default": ("models", "default", "x"),
    "tokens create": ("tokens", "create", "x", "--scope", "read"),
    "tokens ls": ("tokens", "ls"),
    "tokens revoke": ("tokens", "revoke", "x"),
    "tokens audit": ("tokens", "audit"),
}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    resident_bytes: int


def ran(home: Home, host: str, *arguments: str) -> Ended:
    """Run a command that talks to a host, and see how much memory it needed."""
    note = home.folder.parent / f"{home.folder.name}.memory"
    variables = {"EDGERUN_TIMEOUT": str(TIMEOUT_S), "EDGERUN_HOST": host, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.client.hostile_command", str(note), *arguments],
        env={**home.environment, **variables},
        cwd=home.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr, int(note.read_text()))


def check_command(folder: Path, host: Host, arguments: Sequence[str]) -> None:
    """Run one command against one agent: a documented exit code, one error, little memory, nothing elsewhere."""
    folder.mkdir()
    home = Home(folder)
    home.hosts.put(host)
    (folder / "bundle").mkdir()
    (folder / "bundle" / "file").write_text("x")
    (folder / "picture.png").write_bytes(digit(3))
    (folder / "digits.tflite").write_bytes(b"x" * (1 << 20))
    before = tree(folder)
    ended = ran(home, host.name, *arguments)
    said = f"{arguments} on {host.name}: {ended}"
    assert "Traceback" not in ended.err, said
    assert ended.code in ((1,) if arguments[0] == "doctor" else (3, 4, 5, 6)), said
    if arguments[0] == "doctor":
        assert ended.out.count("FAILED") == 1, said
    else:
        assert len([line for line in ended.err.splitlines() if f"{host.name}: " in line]) == 1, said
    assert "is removed" not in ended.err, said
    assert ended.resident_bytes < MEMORY_MAX_BYTES, said
    assert {path for path in tree(folder) - before if not path.startswith(("asked", "runs", "config/"))} == set(), said


def test_every_command_ends_in_one_clear_error(tmp_path: Path) -> None:
    """Each command meets one kind of answer; the slow test has the table."""
    kinds = dict(list(KINDS.items())[:: len(KINDS) // len(COMMANDS)][: len(COMMANDS)])
    with hostile(kinds) as hosts, ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(check_command, tmp_path / host.name, host, command)
            for host, command in zip(hosts.values(), COMMANDS.values(), strict=True)
        ]
        for each in done:
            each.result()


@pytest.mark.slow
@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_and_every_kind(tmp_path: Path, command: Sequence[str], secured: bool) -> None:
    """The whole table, plain and over TLS."""
    tls = tmp_path / "tls" if secured else None
    with hostile(tls=tls) as hosts, ThreadPoolExecutor(4) as pool:
        done = [pool.submit(check_command, tmp_path / name, host, command) for name, host in hosts.items()]
        for each in done:
            each.result()


def test_a_removal_that_is_redirected_is_no_removal(tmp_path: Path) -> None:
    """`models rm` says "removed" only when the agent did."""
    with hostile({"redirect-307": KINDS["redirect-307"]}) as hosts:
        home = Home(tmp_path)
        home.hosts.put(hosts["redirect-307"])
        ended = ran(home, "redirect-307", "models", "rm", "x")
    assert (ended.code, "is removed" in ended.err, "redirect" in ended.err) == (6, False, True), ended.err

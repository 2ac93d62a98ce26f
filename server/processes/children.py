"""Children of the agent: one way to start any of them, to say how one ended, and to end it with all that it started."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

EDGETPU_VARIABLE = "EDGERUN_EDGETPU_LIBRARY"
"""Names the delegate of Coral's Edge TPU, which no package brings; read where models run."""
CHILD_VARIABLE = "EDGERUN_CHILD"
"""Marks what this process starts, so that what it adopts can be told from that."""
PASSED_ON = (EDGETPU_VARIABLE, CHILD_VARIABLE)
"""Settings that only children read."""


def mark_children() -> None:
    """Have every child of this process carry a mark in its environment, by which adopted ones are told from them."""
    os.environ[CHILD_VARIABLE] = secrets.token_hex(16)


def child_command(module: str, *arguments: object) -> list[str]:
    """How a module is run in a child. `-P` keeps a `server` folder in the working directory from shadowing ours."""
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]


def child_environment() -> dict[str, str]:
    """The agent's environment without its settings: a child needs hardly any, and a token's hash least of all."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGERUN_")}
    return kept | {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def child_settings(
    descriptors: Sequence[int] = (), variables: Mapping[str, str] | None = None, **streams: int
) -> dict[str, Any]:
    """What every child is started with, as subprocess.Popen and asyncio.create_subprocess_exec take it.

    A session of its own, no settings of the agent, no standard streams but those given (`stdin`, `stdout`, `stderr`),
    and of open files the `descriptors` alone; `variables` are added to its environment.
    """
    closed = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    return {
        **closed,
        **streams,
        "pass_fds": tuple(descriptors),
        "env": child_environment() | dict(variables or {}),
        "start_new_session": True,
    }


def kill_session(leader: int) -> None:
    """Kill a child that leads its session, and what it started there; nothing happens when none is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def exit_text(code: int | None) -> str:
    """How a process ended, from its return code."""
    if code is None or code >= 0:
        return f"ended with status {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"

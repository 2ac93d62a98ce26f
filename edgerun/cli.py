"""The `edgerun` command: `client`, `provision` and `server` under one name, where those names are taken."""

import sys
from collections.abc import Callable, Sequence

PROGRAM, PROVISION, SERVER = "edgerun", "provision", "server"
EXIT_USAGE = 2
OWN = frozenset({"client", "contract", "edgerun", "image_model", "provisioning", "server", "web"})


def main() -> int:
    """Run the command line; returns the exit code of the program that the first word stands for."""
    words = sys.argv[1:]
    program, extra = {SERVER: (_serve, "server"), PROVISION: (_provision, "boards")}.get(
        words[0] if words else "", (_client, "client")
    )
    return _run(program, words, extra)


def _run(program: Callable[[Sequence[str]], int], words: Sequence[str], extra: str) -> int:
    """Run one of the programs; what it needs may not be installed, on a device that has the agent alone for one."""
    try:
        return program(words)
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        if not name or name in OWN:
            raise
        text = f"{PROGRAM}: {name} is not installed; it comes with pip install 'edgerun[{extra}]'"
        print(text, file=sys.stderr)
        return EXIT_USAGE


def _serve(words: Sequence[str]) -> int:
    from server.cli import main as serve

    return serve(words[1:], f"{PROGRAM} {SERVER}")


def _client(words: Sequence[str]) -> int:
    from client import program_names
    from client.console import run
    from edgerun.commands import app

    program_names.call_all(PROGRAM)
    return run(app, PROGRAM, words)


def _provision(words: Sequence[str]) -> int:
    from client import program_names
    from provisioning.cli import main as provision

    program_names.call_all(PROGRAM)
    return provision(words[1:], f"{PROGRAM} {PROVISION}")

"""Odd `$OUTPUT` trees, each made by a program of its own from a seed: what a job may leave, at its worst.

A program is plain Python, so that it can be the whole command of a job. Links lead to a decoy, never anywhere else.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

START = """
import os, socket, sys
O, W, D = os.environ["OUTPUT"].encode(), os.getcwd().encode(), os.environ["DECOY"].encode()
assert O.startswith(os.path.dirname(D) + b"/"), "this is for a job of a test alone"
os.chdir(O)
def put(name, size=3):
    with open(name, "wb") as file:
        file.write(bytes(size))
def down(name, depth):
    for _ in range(depth):
        os.mkdir(name)
        os.chdir(name)
    put(b"last")
    os.chdir(O)
def gone(path):
    import shutil
    if os.path.realpath(os.path.dirname(path)) != os.path.dirname(path):
        raise OSError("a link leads there: what is behind it is not for this program to remove")
    shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
"""
NAMES = (
    *(
        b"usual",
        b"two words",
        b"-rf",
        b"~",
        b".hidden",
        b"\xff",
        b"\xc3\x28",
        b"new\nline",
        b"\x1b]0;title\x07",
        b"%41",
    ),
    *(
        "\u202egnp.exe".encode(),
        "ä".encode(),
        b"back\\slash",
        b"C:",
        b"CON",
        b"x" * 255,
        b"\xff" * 100,
        b"a" * 200 + b"\n",
    ),
)


@dataclass(frozen=True)
class OddTree:
    """A program that leaves something odd."""

    number: int
    source: str

    @property
    def argv(self) -> list[str]:
        """The command that runs it."""
        return ["python3", "-c", START + self.source]


def odd_tree(number: int) -> OddTree:
    """The tree of that number, always the same: some usual things, then one to four odd ones."""
    source = random.Random(number)
    first = KINDS[number % len(KINDS)]  # each kind has its turn
    chosen = [first, *source.sample(KINDS, source.randint(0, 3))]
    chosen.sort(key=lambda kind: kind in LAST)
    lines = [f"put({name!r}, {source.randint(0, 5000)})" for name in source.sample(NAMES, 2)]
    lines += [kind(source) for kind in chosen]
    return OddTree(number, "\n".join(f"try:\n    {_inner(line)}\nexcept OSError: pass" for line in lines))


def _inner(lines: str) -> str:
    return lines.replace("\n", "\n    ")


def _names(source: random.Random) -> str:
    return f"for name in {source.sample(NAMES, 8)!r}:\n    os.path.lexists(name) or put(name)"


def _folders(source: random.Random) -> str:
    return f"down({source.choice(NAMES[:8])!r}, {source.choice((2, 31, 32, 33, 100))})"


def _very_deep(source: random.Random) -> str:
    return f"down(b'd', {source.choice((400, 1500))})"


def _long_paths(source: random.Random) -> str:
    return f"down(b'{source.choice('lmn')}' * 200, {source.choice((5, 6, 40))})"


def _links(source: random.Random) -> str:
    targets = ("D", "D + b'/work'", "D + b'/canary'", "b'..'", "b'.'", "b'nowhere'", "O", "b'l0'")
    lines = [f"os.symlink({target}, b'l{place}')" for place, target in enumerate(source.sample(targets, 5))]
    return "\n".join(lines)


def _hard_links(source: random.Random) -> str:
    return f"put(b'one', {source.randint(1, 9999)})\nfor number in range(20): os.link(b'one', b'one%d' % number)"


def _pipes(source: random.Random) -> str:
    return f"os.makedirs(b'p')\nfor number in range({source.randint(1, 50)}): os.mkfifo(b'p/%d' % number)"


def _sockets(source: random.Random) -> str:
    return f"for number in range({source.randint(1, 9)}): socket.socket(socket.AF_UNIX).bind(b's%d' % number)"


def _sparse(source: random.Random) -> str:
    size = source.choice((1 << 20, 1 << 29, (1 << 30) + 1, 1 << 40))
    return f"with open(b'sparse', 'wb') as file: file.truncate({size})"


def _many(source: random.Random) -> str:
    return f"os.mkdir(b'many')\nfor number in range({source.choice((500, 3000, 10500))}): put(b'many/%d' % number, 0)"


def _forbidden(source: random.Random) -> str:
    mode = source.choice((0, 0o111, 0o222, 0o4755, 0o7000))
    changes = "\n".join(f"os.chmod(b'{path}', {mode})" for path in ("f/g/h", "f/g", "f"))
    return f"os.makedirs(b'f/g')\nput(b'f/g/h')\n{changes}"


def _left_running(source: random.Random) -> str:
    waits = source.choice(
        ("setsid sleep 60", "while :; do echo more > again; done", "while :; do mkdir -p x/y; mv x z$$; done")
    )
    return f"import subprocess\nsubprocess.Popen(['sh', '-c', {waits!r}], stderr=subprocess.DEVNULL)"


def _events_of_its_own(source: random.Random) -> str:
    """Write what a job's process writes, wherever this user may."""
    lines = source.sample(('{"event":"phase"}', '{"event":"done"}', '{"event":"window","at_ns":"x"}', "[]", "{"), 3)
    text = "\n".join(lines) + "\n"
    return (
        "for fd in os.listdir('/proc/%d/fd' % os.getppid()):\n"
        "    path = '/proc/%d/fd/%s' % (os.getppid(), fd)\n"
        "    if 'ndjson' in os.readlink(path) or 'pipe' in os.readlink(path):\n"
        "        with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK), 'w') as file:\n"
        f"            file.write({text!r})"
    )


def _prints(source: random.Random) -> str:
    return f"sys.stdout.buffer.write(os.urandom({source.choice((10, 100_000, 3_000_000))}))\nsys.stdout.flush()"


def _dies(source: random.Random) -> str:
    return source.choice(("os.kill(os.getpid(), 9)", "os._exit(3)", "os.kill(os.getppid(), 9)", "os.abort()"))


def _no_output(source: random.Random) -> str:
    return "os.chdir(b'/')\ngone(O)" + source.choice(("", "\nput(O)", "\nos.symlink(D, O)", "\nos.mkfifo(O)"))


def _no_parent(source: random.Random) -> str:
    return "os.chdir(b'/')\ngone(os.path.dirname(O))" + source.choice(("", "\nos.symlink(D, os.path.dirname(O))"))


KINDS: list[Callable[[random.Random], str]] = [
    *(_names, _folders, _very_deep, _long_paths, _links, _hard_links, _pipes, _sockets, _sparse, _many, _forbidden),
    *(_left_running, _events_of_its_own, _prints, _dies, _no_output, _no_parent),
]
LAST = (_no_output, _no_parent, _dies)

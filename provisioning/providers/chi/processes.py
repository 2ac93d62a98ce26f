"""Programs in a container that take longer than the site waits: started detached, then asked about."""

import base64
import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from provisioning.errors import ProvisioningError
from provisioning.programs import END, VARIABLE, new_mark
from provisioning.providers.chi.containers import Containers
from provisioning.providers.chi.errors import SiteUnreachable

POLL_FIRST_S, POLL_MOST_S = 0.05, 2.0
ANSWER_BYTES = 48_000
"""The most bytes of each stream that are fetched at a time."""
START_TIMEOUT_S = 60.0
OURS, USERS = ".run-", ".exec-"
"""How the folder of a program's streams begins: of a step of ours, and of what a user runs and may come back to."""

BEGIN = (
    'mkdir -p "$1" && cd "$2" || exit 1; mkdir "$1/begun" 2>/dev/null || exit 0; '
    'd=$1; PATH="$2/venv/bin:$PATH"; export PATH; shift 2; '
    f"{{ {VARIABLE}=${{d##*/}} setsid sh -c "
    '\'>"$0/started"; "$@" >"$0/out" 2>"$0/err" </dev/null; echo $? >"$0/new"; mv "$0/new" "$0/rc"\' '
    '"$d" "$@" >/dev/null 2>&1 </dev/null & }'
)
"""Starts a program, once, however often and by however many it is asked."""
ASK = (
    'cd "$1" || exit 1; c=$(cat rc 2>/dev/null); [ -e started ] && s=started || s=; '
    'for f in "out $2" "err $3"; do set -- $f; '
    f'tail -c +$(($2 + 1)) "$1" 2>/dev/null | head -c {ANSWER_BYTES} | base64 | tr -d "\\n"; echo; done; echo "$s $c"'
)
LIST = f'cd "$1" && for d in {USERS}*; do [ -d "$d" ] && echo "${{d#{USERS}}}"; done; true'
FORGET = 'rm -rf "$1"'


class Streams:
    """Where a program's streams go, and how much of each has come."""

    def __init__(self, out: BinaryIO | None, err: BinaryIO | None) -> None:
        self._sinks = (out, err)
        self.seen = [0, 0]

    def take(self, index: int, content: bytes) -> None:
        """Pass on what came of standard output, 0, or standard error, 1."""
        self.seen[index] += len(content)
        if (sink := self._sinks[index]) is not None:
            sink.write(content)
            sink.flush()


def run_detached(
    containers: Containers,
    container: str,
    folder: str,
    words: Sequence[str],
    *,
    out: BinaryIO | None = None,
    err: BinaryIO | None = None,
    timeout_s: float | None = None,
) -> int:
    """Run a step of ours in `folder` and pass on what it prints while it runs; its exit code.

    Raises ProvisioningError when it cannot be started, when the container loses it, or after `timeout_s` seconds. The
    program is ended when the wait for it is.
    """
    mark = f"{OURS}{new_mark()}"
    with _ended_with_us(containers, container, mark):
        _begin(containers, container, folder, mark, words)
        return _follow(containers, container, f"{folder}/{mark}", Streams(out, err), timeout_s)


def run_for_user(
    containers: Containers, container: str, folder: str, words: Sequence[str], out: BinaryIO, err: BinaryIO, name: str
) -> int:
    """Run a user's program as `run_detached` does; one that the site cuts us off from goes on, and can be resumed.

    Raises SiteUnreachable then, with the line that resumes it.
    """
    mark = new_mark()
    with _ended_with_us(containers, container, f"{USERS}{mark}", resumed_by=f"provision exec --resume {name} {mark}"):
        _begin(containers, container, folder, f"{USERS}{mark}", words)
        return _follow(containers, container, f"{folder}/{USERS}{mark}", Streams(out, err), None)


def resume(
    containers: Containers, container: str, folder: str, mark: str | None, out: BinaryIO, err: BinaryIO, name: str
) -> int:
    """Follow a user's program again, from the beginning of its output; the only one where none is named.

    Raises ProvisioningError when there is none of that id, or several to choose from.
    """
    known = containers.shell(container, LIST, folder, again=True).output.split()
    if mark is None and len(known) == 1:
        (mark,) = known
    if mark is None or mark not in known:
        if not known:
            raise ProvisioningError(f"no program of `provision exec` is left in {name}")
        hint = f"there are: {', '.join(known)}; provision exec --resume {name} ID"
        raise ProvisioningError(f"no program {mark} is there" if mark else "which program?", hint=hint)
    with _ended_with_us(containers, container, f"{USERS}{mark}", resumed_by=f"provision exec --resume {name} {mark}"):
        return _follow(containers, container, f"{folder}/{USERS}{mark}", Streams(out, err), None)


def _begin(containers: Containers, container: str, folder: str, mark: str, words: Sequence[str]) -> None:
    started = containers.shell(container, BEGIN, f"{folder}/{mark}", folder, *words, again=True)
    if started.code != 0:
        said = started.output.strip() or "the site did not wait for it"
        raise ProvisioningError(f"{words[0]} could not be started in the container: {said}")


@contextlib.contextmanager
def _ended_with_us(containers: Containers, container: str, mark: str, resumed_by: str | None = None) -> Iterator[None]:
    """End a program when the wait for it ends, unless the site does not answer and it can be resumed."""
    try:
        yield
    except SiteUnreachable as error:
        if resumed_by is None:
            raise
        error.hint = f"the program goes on there; once the site answers again: {resumed_by}"
        raise
    except BaseException:
        with contextlib.suppress(ProvisioningError):
            containers.shell(container, END, mark, again=True)
        raise


def _follow(containers: Containers, container: str, place: str, streams: Streams, timeout_s: float | None) -> int:
    began, pause_s = time.monotonic(), POLL_FIRST_S
    while True:
        answer = containers.shell(container, ASK, place, *map(str, streams.seen), again=True)
        lines = answer.output.split("\n")
        if answer.code is not None and (answer.code != 0 or len(lines) < 3):
            raise ProvisioningError(f"the container lost the program: {answer.output.strip() or 'was it restarted?'}")
        waited_s = time.monotonic() - began
        if answer.code == 0:
            new = [base64.b64decode(line) for line in lines[:2]]
            for index, content in enumerate(new):
                streams.take(index, content)
            started, *code = lines[2].split() or [""]
            if any(new):
                pause_s = POLL_FIRST_S
            elif code:
                containers.shell(container, FORGET, place, again=True)
                return int(code[0])
            elif not started and waited_s > START_TIMEOUT_S:
                raise ProvisioningError("the container did not start the program")
        if timeout_s is not None and waited_s > timeout_s:
            raise ProvisioningError(f"it was not done after {timeout_s:.0f} s")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, POLL_MOST_S)

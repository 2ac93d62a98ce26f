"""Programs in a container that take longer than the site waits: started detached, then asked about."""

import base64
import contextlib
import time
from collections.abc import Sequence
from typing import BinaryIO

from provisioning.errors import ProvisioningError
from provisioning.programs import END, VARIABLE, new_mark
from provisioning.providers.chi.containers import Containers

POLL_FIRST_S, POLL_MOST_S = 0.05, 2.0
ANSWER_BYTES = 48_000
"""The most bytes of each stream that are fetched at a time."""

BEGIN = (
    'mkdir -p "$1" && cd "$2" && d=$1 && PATH="$2/venv/bin:$PATH" && export PATH && shift 2 && '
    f"{{ {VARIABLE}=${{d##*/}} setsid sh -c "
    '\'"$@" >"$0/out" 2>"$0/err" </dev/null; echo $? >"$0/new"; mv "$0/new" "$0/rc"\' '
    '"$d" "$@" >/dev/null 2>&1 </dev/null & }'
)
ASK = (
    'cd "$1" || exit 1; c=$(cat rc 2>/dev/null); for s in "out $2" "err $3"; do set -- $s; '
    f'tail -c +$(($2 + 1)) "$1" 2>/dev/null | head -c {ANSWER_BYTES} | base64 | tr -d "\\n"; echo; done; echo "$c"'
)
FORGET = 'rm -rf "$1"'


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
    """Run a program in `folder` and pass on what it prints while it runs; its exit code.

    Raises ProvisioningError when it cannot be started, when the container loses it, or after `timeout_s` seconds. The
    program is ended when the wait for it is.
    """
    mark = f".run-{new_mark()}"
    place = f"{folder}/{mark}"
    try:
        started = containers.shell(container, BEGIN, place, folder, *words)
        if started.code != 0:
            said = started.output.strip() or "the site did not wait for it"
            raise ProvisioningError(f"{words[0]} could not be started in the container: {said}")
        code = _follow(containers, container, place, (out, err), timeout_s)
    except BaseException:
        with contextlib.suppress(ProvisioningError):
            containers.shell(container, END, mark, again=True)
        raise
    containers.shell(container, FORGET, place, again=True)
    return code


def _follow(
    containers: Containers,
    container: str,
    place: str,
    sinks: tuple[BinaryIO | None, BinaryIO | None],
    timeout_s: float | None,
) -> int:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pause, seen = POLL_FIRST_S, [0, 0]
    while True:
        answer = containers.shell(container, ASK, place, str(seen[0]), str(seen[1]), again=True)
        lines = answer.output.split("\n")
        if answer.code is not None and (answer.code != 0 or len(lines) < 3):
            raise ProvisioningError(f"the container lost the program: {answer.output.strip() or 'was it restarted?'}")
        if answer.code == 0:
            new = [base64.b64decode(line) for line in lines[:2]]
            for index, sink in enumerate(sinks):
                seen[index] += len(new[index])
                if sink is not None:
                    sink.write(new[index])
                    sink.flush()
            if any(new):
                pause = POLL_FIRST_S
            elif lines[2].strip():
                return int(lines[2])
        if deadline is not None and time.monotonic() > deadline:
            raise ProvisioningError(f"it was not done after {timeout_s:.0f} s")
        time.sleep(pause)
        pause = min(pause * 1.5, POLL_MOST_S)

"""Programs that `exec` runs where an agent is: marked by their environment, so that all of one can be ended."""

import secrets

VARIABLE = "EDGERUN_PROGRAM"
"""Carried by a program and everything it starts, unless that clears its environment."""
NO_SUCH_PROGRAM = 127
SIGNALLED = 128
"""An exit code above this is the number of the signal that ended the program, as shells have it."""

END = (
    f'marked() {{ for f in $(grep -lsF "{VARIABLE}=$1" /proc/[0-9]*/environ); '
    'do f=${f#/proc/}; echo "${f%/environ}"; done; }; '
    'found=$(marked "$1"); [ -n "$found" ] || exit 0; kill -s TERM $found 2>/dev/null; '
    'for i in 1 2 3 4 5 6 7 8; do sleep 0.3; found=$(marked "$1"); [ -n "$found" ] || exit 0; done; '
    "kill -s KILL $found 2>/dev/null"
)
"""A line of shell whose first argument is a mark: asks what carries it to end, and kills what has not after 2.4 s."""


def new_mark() -> str:
    """A mark for one program."""
    return secrets.token_hex(8)

"""Ending a program in the shells that devices have."""

import os
import shutil
import subprocess

import pytest

from provisioning.programs import END, VARIABLE, new_mark
from tests.agents import wait_for
from tests.server.jobs.running import lasting, living

SHELLS = (["dash"], ["busybox", "sh"], ["bash"])


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_all_of_a_program_ends_and_nothing_else(shell: list[str]) -> None:
    """Also what left its session, and what does not listen; a program with another mark goes on."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here: `scripts/setup dev` as root installs it")
    mark, other = new_mark(), new_mark()
    one, deaf, free, foreign = (lasting(number) for number in (8100, 8101, 8102, 8103))
    script = f"{one} & setsid {free} & sh -c \"trap '' TERM; {deaf} & {deaf}; wait\" & wait"
    children = [
        subprocess.Popen(["sh", "-c", words], env={**os.environ, VARIABLE: each}, start_new_session=True)
        for words, each in ((script, mark), (f"exec {foreign}", other))
    ]
    try:
        wait_for(lambda: all(living(words) for words in (one, deaf, free, foreign)))
        subprocess.run([*shell, "-c", END, "sh", mark], check=True)
        assert not any(living(words) for words in (one, deaf, free))
        assert living(foreign)
        subprocess.run([*shell, "-c", END, "sh", mark], check=True)  # nothing is left to end
    finally:
        subprocess.run(["sh", "-c", END, "sh", other], check=True)
        for child in children:
            child.kill()
            child.wait()

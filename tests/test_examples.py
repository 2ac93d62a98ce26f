"""The examples run as their README says, only shorter."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agents import running_agent
from tests.home import Home
from tests.test_docs import ROOT

BIN = Path(sys.executable).parent


def test_two_trainings_are_compared(home: Home, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Trained on an agent in two configurations, fetched, compared: steps, hardware, verdicts."""
    data = tmp_path_factory.mktemp("training")
    with running_agent(data, "--workers", "1", "--allow-commands", "on") as agent:
        home.knows(agent)
        for name, options in (("one", ("--env", "OPENBLAS_NUM_THREADS=1")), ("all", ())):
            program = ("python", "train.py", "--seconds", "2", "--width", "64")
            bundle = str(ROOT / "examples" / "train")
            arguments = ("--bundle", bundle, *options, "--interval", "200ms", "--save", name)
            done = home.client("run", "--host", "edge1", *arguments, "--", *program)
            assert done.returncode == 0, done.stderr
            assert "accuracy" in done.stdout
    compared = subprocess.run(
        [str(BIN / "python"), str(ROOT / "examples" / "compare.py"), "one", "all"],
        cwd=home.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert compared.returncode == 0, compared.stderr
    cells = (re.split(r"  +", line.strip()) for line in compared.stdout.splitlines())
    lines = {title: values for title, *values in cells}
    for title in ("steps", "CPU used, mean %", "memory used by the program, most MiB"):
        assert len(lines[title]) == 2, compared.stdout
        assert all(float(value) > 0 for value in lines[title])
    assert "times as many steps a second" in compared.stdout

"""`client report` and `client compare --report` as a user types them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.analysis.runs import read_run, write_run
from client.report.sources import read_sources
from tests.agents import RunningAgent
from tests.client.made_runs import made_entry, made_run, samples_around
from tests.client.report.conftest import Opener, RealRuns
from tests.home import Home


@pytest.fixture
def runs(home: Home) -> Home:
    """A user with two runs."""
    for name, center in (("before", 2.0), ("after", 1.0)):
        folder = home.folder / name
        folder.mkdir()
        write_run(folder, made_run(made_entry(samples_around(center, 300))))
    return home


def test_the_file_is_named_and_the_verdict_said(runs: Home) -> None:
    """The sentence on standard error, nothing on standard output, the page where it was wanted."""
    done = runs.client("report", "before", "after", "--save", "out.html", "--title", "Mine")
    assert (done.returncode, done.stdout) == (0, "")
    assert "after is the fastest: 1 ms an inference (median), 2 times faster than before" in done.stderr.replace(
        "\n", " "
    )
    assert "out.html: 0." in done.stderr
    text = (runs.folder / "out.html").read_text()
    assert "<h1>Mine</h1>" in text
    assert runs.client("report", "before", "-q").stderr == ""
    assert (runs.folder / "report.html").exists()


def test_to_standard_output(runs: Home) -> None:
    """`-o -` for pipes."""
    done = runs.client("report", "before", "--save", "-")
    assert done.stdout.startswith("<!doctype html>")
    assert done.stderr == ""


def test_compare_writes_the_same_page(runs: Home, opened: Opener) -> None:
    """The table in the terminal, the page beside it."""
    done = runs.client("compare", "before", "after", "--report", "both.html", "-o", "csv")
    assert done.returncode == 0
    assert done.stdout.startswith("configuration,run,")
    with opened(runs.folder / "both.html") as seen:
        lines = seen.page.locator("#result .statements li").all_inner_texts()
        assert any(line.startswith("after is 2.0") and line.endswith("times faster than before") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nosuch",), "there is no nosuch"),
        (("empty",), "is not a run folder"),
        (("foreign.json",), "holds neither a run nor a profile"),
        (("broken.json",), "is not JSON"),
        (("before", "--save", "nowhere/out.html"), "nowhere"),
    ],
)
def test_wrong_input_says_what_to_give(runs: Home, arguments: tuple[str, ...], words: str) -> None:
    """One line and a hint, never a traceback."""
    (runs.folder / "empty").mkdir()
    (runs.folder / "foreign.json").write_text("{}")
    (runs.folder / "broken.json").write_text("{")
    done = runs.client("report", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fetched_job_is_a_run_of_one(real: RealRuns, home: Home, job_agent: RunningAgent) -> None:
    """What `client jobs results` brought says the same as the run that it was part of."""
    entry = read_run(real.folder / "bench").entries[0]
    assert entry.job is not None
    fetched = home.knows(job_agent).client("jobs", "results", entry.job.id, "--save", "job")
    assert fetched.returncode == 0, fetched.stderr
    (run,) = (run for _, run in read_sources([home.folder / "job"]).runs)
    assert run.entries[0].result == entry.result
    assert home.client("report", "job", "-q").returncode == 0


def test_images_of_a_real_run(real: RealRuns, home: Home) -> None:
    """A bar chart a measure and a time series a component that was recorded."""
    done = home.client("report", str(real.folder / "bench"), "--save", "r.html", "--png", "png")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (home.folder / "png").iterdir()}
    assert {"load-time.png", "inference-time.png", "frames-per-second.png", "time-cpu-utilization.png"} <= names


def test_without_matplotlib_it_says_what_to_install(runs: Home, tmp_path: Path) -> None:
    """The page is there all the same."""
    code = "import sys; sys.modules['matplotlib'] = None; from client.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "report", "before", "--png", "png"]
    environment = {**os.environ, **runs.environment}
    done = subprocess.run(command, cwd=runs.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--png needs matplotlib" in done.stderr
    assert "pip install matplotlib" in done.stderr
    assert (runs.folder / "report.html").exists()

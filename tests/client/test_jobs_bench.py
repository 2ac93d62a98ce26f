"""`client bench` and `client compare` as a user runs them, against real agents."""

import contextlib
import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client import EdgeClient
from client.analysis.runs import read_run
from contract.jobs import JobState
from image_model.catalog import SAMPLES_FOLDER
from tests.agents import RunningAgent, running_agent, wait_for
from tests.client.proxy import proxied
from tests.home import Home

CLIENT = str(Path(sys.executable).with_name("client"))
QUICK = ("--model", "digits", "--iterations", "100", "--interval", "0.1s")


@pytest.fixture
def edge(home: Home, job_agent: RunningAgent) -> Home:
    """A user who knows the agent that runs jobs as edge1."""
    return home.knows(job_agent)


def test_a_matrix_becomes_one_table_and_a_run_folder(edge: Home) -> None:
    """Every combination is a row; what is saved holds jobs, results and telemetry; p99 is not made up."""
    done = edge.client("bench", *QUICK, "--runtime", "litert,tflite", "--batch", "1,10", "--save", "out")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("edge1 ")]
    assert [(row[1], row[3], row[5]) for row in rows] == [
        *(("litert", "1", "1"), ("litert", "1", "10"), ("tflite", "1", "1"), ("tflite", "1", "10"))
    ]
    assert "p99 n/a" in done.stdout
    run = read_run(edge.folder / "out")
    assert len(run.entries) == 4
    for entry in run.entries:
        assert entry.result is not None
        assert entry.telemetry is not None
        assert entry.device is not None
        assert len(entry.result.samples_ms) == 100
    assert len(list((edge.folder / "out").glob("telemetry-edge1-*.csv"))) == 4
    assert "edge1: 4 of 4: digits tflite batch 10" in done.stderr


def test_two_hosts_at_once(edge: Home, agent: RunningAgent) -> None:
    """Each host runs the whole matrix; json is the run, csv a row a job."""
    edge.knows(agent, "edge2")
    hosts = ("--host", "edge1", "--host", "edge2")
    done = edge.client("bench", *hosts, *QUICK, "--threads", "1,2", "--name", "two", "-o", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["schema_version"], document["name"]) == (1, "two")
    assert [entry["host"] for entry in document["entries"]] == ["edge1", "edge1", "edge2", "edge2"]
    assert len(list((edge.folder / "runs").glob("*-two/run.json"))) == 1
    table = edge.client("bench", *hosts, *QUICK, "-o", "csv", "-q")
    assert table.stderr == ""
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    assert [(row["host"], row["state"], row["iterations"]) for row in rows] == [
        *(("edge1", "succeeded", "100"), ("edge2", "succeeded", "100"))
    ]
    assert all(float(row["p50_low_ms"]) <= float(row["p50_ms"]) <= float(row["p50_high_ms"]) for row in rows)


def test_a_host_that_is_gone_does_not_spoil_the_others(edge: Home) -> None:
    """9, the other host's results are there, and the table says what is missing."""
    hosts = ("--host", "edge1", "--host", "127.0.0.1:1")
    done = edge.client("bench", *hosts, *QUICK, "--save", "out")
    assert done.returncode == 9
    assert "cannot connect" in done.stderr
    first, second = read_run(edge.folder / "out").entries
    assert first.result is not None
    assert second.error is not None
    assert "127.0.0.1:1" in done.stdout
    alone = edge.client("bench", "--host", "127.0.0.1:1", *QUICK)
    assert alone.returncode == 3


def test_what_is_refused_does_not_spoil_the_rest(edge: Home) -> None:
    """7 when one configuration of several is refused, 5 when all are; the table says why."""
    done = edge.client("bench", *QUICK, "--runtime", "litert,magic", "--save", "out")
    assert done.returncode == 7
    assert "magic" in done.stderr
    first, second = read_run(edge.folder / "out").entries
    assert first.result is not None
    assert second.error is not None
    assert second.error in done.stdout
    assert edge.client("bench", "--model", "nosuch", "--iterations", "5").returncode == 5


def test_images_are_uploaded_and_recognised(edge: Home) -> None:
    """A folder as input: the result shows that the first one was seen as what it is."""
    done = edge.client("bench", *QUICK, "--input", str(SAMPLES_FOLDER), "--save", "out")
    assert done.returncode == 0, done.stderr
    (entry,) = read_run(edge.folder / "out").entries
    assert entry.result is not None
    assert entry.result.predictions[0].label == "0"
    assert "input 10 pictures" in done.stdout


def test_repeats_are_jobs_of_their_own(edge: Home) -> None:
    """Three jobs, one row with the range of their medians."""
    done = edge.client("bench", *QUICK, "--repeat", "3", "--save", "out")
    assert done.returncode == 0, done.stderr
    assert [entry.repeat for entry in read_run(edge.folder / "out").entries] == [0, 1, 2]
    assert done.stdout.count("edge1 ") == 1
    assert ", 3 runs)" in done.stdout


def test_strict_ends_with_8_when_not_all_is_ok(edge: Home) -> None:
    """20 inferences of a tiny model in a busy test are beyond doubt only by luck: the code follows the verdict."""
    done = edge.client("bench", *QUICK, "--strict", "-o", "json")
    (entry,) = json.loads(done.stdout)["entries"]
    verdict = entry["result"]["validity"]["verdict"]
    assert done.returncode == (0 if verdict == "ok" else 8)


def test_ctrl_c_leaves_the_jobs_and_says_how_to_come_back(edge: Home, job_agent: RunningAgent) -> None:
    """130; what is printed brings the run back with the same jobs, and cancels them."""
    command = [
        CLIENT,
        "bench",
        "--model",
        "digits",
        "--duration",
        "2s",
        "--threads",
        "1,2",
    ]
    process = subprocess.Popen(
        [*command, "--save", "out"],
        cwd=edge.folder,
        env=edge.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: (edge.folder / "out" / "run.json").exists())
    wait_for(lambda: all(entry.job is not None for entry in read_run(edge.folder / "out").entries))
    process.send_signal(signal.SIGINT)
    output, notes = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (output, "Traceback" in notes) == ("", False)
    ids = [entry.job.id for entry in read_run(edge.folder / "out").entries if entry.job is not None]
    assert "client bench --resume out" in notes
    assert f"client jobs cancel --host edge1 {ids[0]} {ids[1]}" in notes
    with EdgeClient(job_agent.host) as client:
        assert not client.job(ids[1]).state.ended
    back = edge.client("bench", "--resume", "out", "-o", "json")
    assert back.returncode == 0, back.stderr
    entries = json.loads(back.stdout)["entries"]
    assert [entry["job"]["id"] for entry in entries] == ids
    assert all(entry["result"]["complete"] for entry in entries)


def test_detached_and_cancelled(edge: Home) -> None:
    """Ids are printed at once; a cancelled run ends with 7, its unfinished jobs shown as cancelled."""
    done = edge.client(
        "bench", "--model", "digits", "--duration", "60s", "--threads", "1,2", "--detach", "--save", "out"
    )
    assert done.returncode == 0, done.stderr
    ids = [line.split()[1] for line in done.stdout.splitlines()[1:]]
    assert len(ids) == 2
    assert edge.client("jobs", "cancel", *ids, "--host", "edge1").returncode == 0
    back = edge.client("bench", "--resume", "out")
    assert back.returncode == 7
    assert back.stdout.count("cancelled") >= 2
    assert {entry.job.state for entry in read_run(edge.folder / "out").entries if entry.job} == {JobState.CANCELLED}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--threads", "1,x"], "--threads takes numbers"),
        (["--hint", "fast"], "--hint takes latency, throughput"),
        (["--batch", "0"], "batch"),
        (["--iterations", "5", "--duration", "5s"], "not both"),
        (["--interval", "1ms"], "--interval is from 0.1s to 60s"),
        (["--input", "nosuch.jpg"], "no file 'nosuch.jpg'"),
        (["--resume", "nosuch"], "is not a run folder"),
    ],
)
def test_misuse_is_said_before_anything_runs(edge: Home, arguments: list[str], complaint: str) -> None:
    """2 and a line; no folder is left behind."""
    done = edge.client("bench", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not (edge.folder / "runs").exists()


def test_cut_connections_cost_nothing(edge: Home, job_agent: RunningAgent) -> None:
    """From the first job on the connection breaks again and again: no result is missing, none is double."""
    with proxied(job_agent) as (proxy, host):
        edge.hosts.put(host)
        command = [CLIENT, "bench", "--host", "proxied", "--model", "digits", "--duration", "1s", "--threads", "1,2"]
        process = subprocess.Popen(
            [*command, "--save", "out", "-q"], cwd=edge.folder, env=edge.environment, stdout=subprocess.DEVNULL
        )
        cuts = 0
        while process.poll() is None:
            time.sleep(0.4)
            if (run := edge.folder / "out" / "run.json").exists() and '"created_at"' in run.read_text():
                proxy.cut()
                cuts += 1
        assert (process.returncode, cuts > 2) == (0, True), cuts
    entries = read_run(edge.folder / "out").entries
    assert len({entry.job.id for entry in entries if entry.job is not None and entry.result is not None}) == 2


def test_an_agent_that_dies_and_comes_back_is_waited_for(home: Home, tmp_path: Path) -> None:
    """The job it was at is interrupted, which is shown and ends with 7; the next ones are measured and collected."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
    options = ("--workers", "1", "--port", port)
    command = [CLIENT, "bench", "--model", "digits", "--duration", "3s", "--threads", "1,2", "--save", "out", "-q"]
    with running_agent(tmp_path / "agent", *options) as agent:
        home.knows(agent)
        process = subprocess.Popen(command, cwd=home.folder, env=home.environment, stdout=subprocess.PIPE, text=True)
        with EdgeClient(agent.host) as client:
            wait_for(
                lambda: (
                    len(client.jobs(states=[JobState.RUNNING]).jobs)
                    == len(client.jobs(states=[JobState.QUEUED]).jobs)
                    == 1
                )
            )
        agent.process.kill()
    (tmp_path / "agent" / "agent.json").unlink()
    with running_agent(tmp_path / "agent", *options):
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 7
    assert "interrupted" in output
    states = [entry.job.state for entry in read_run(home.folder / "out").entries if entry.job is not None]
    assert states == [JobState.INTERRUPTED, JobState.SUCCEEDED]


def test_what_is_refused_leaves_nothing(edge: Home) -> None:
    """A model that is not there: one error, and no folder to be wondered at."""
    done = edge.client("bench", "--model", "nosuch", "--iterations", "1")
    assert (done.returncode, "nosuch" in done.stderr) == (5, True)
    assert not (edge.folder / "runs").exists()
    assert "saved in" not in done.stderr
    ran = edge.client("run", "--bundle", "nowhere", "--", "true")
    assert ran.returncode != 0
    assert not (edge.folder / "runs").exists()


def test_compare_reads_what_bench_wrote(edge: Home) -> None:
    """Two runs side by side: what differs, ratios with intervals, in three forms."""
    for runtime in ("tflite", "litert"):
        done = edge.client("bench", *QUICK, "--runtime", runtime, "--threads", "1,2", "--save", runtime)
        assert done.returncode == 0, done.stderr
    shown = edge.client("compare", "tflite", "litert")
    assert shown.returncode == 0, shown.stderr
    assert "differs" in shown.stdout
    assert "runtime version" in shown.stdout
    document = json.loads(edge.client("compare", "tflite", "litert", "-o", "json").stdout)
    assert document["differences"]["runtime"] == {"tflite": "tflite", "litert": "litert"}
    assert {row["configuration"] for row in document["rows"]} == {"threads 1", "threads 2"}
    rows = list(csv.DictReader(io.StringIO(edge.client("compare", "tflite", "litert", "-o", "csv").stdout)))
    assert len(rows) == 4
    assert edge.client("compare", "tflite").returncode == 2
    missing = edge.client("compare", "tflite", "nosuch")
    assert (missing.returncode, "not a run folder" in missing.stderr) == (2, True)


def test_a_terminal_gets_a_bar_a_host(edge: Home) -> None:
    """With a terminal on standard error there is a bar with the current rate; the table still goes to stdout."""
    ours, theirs = os.openpty()
    command = [CLIENT, "bench", "--model", "digits", "--duration", "3s"]
    process = subprocess.Popen(
        command, cwd=edge.folder, env=edge.environment, stderr=theirs, stdout=subprocess.PIPE, text=True
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # EIO: the other end was closed
        while piece := os.read(ours, 65536):
            seen += piece
    os.close(ours)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"edge1" in seen
    assert b" fps" in seen
    assert "edge1  litert" in output

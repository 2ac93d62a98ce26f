"""`client jobs`, `client run` and `client telemetry` as a user runs them, against real agents."""

import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client import EdgeClient
from contract.jobs import JobState
from tests.agents import RunningAgent, running_agent, wait_for
from tests.client.proxy import proxied
from tests.home import Home, Result

SMALL_QUOTA = ("--max-jobs-bytes", str(2 * 10**6))
CLIENT = str(Path(sys.executable).with_name("client"))


@pytest.fixture
def edge(home: Home, job_agent: RunningAgent) -> Home:
    """A user who knows the agent that runs jobs as edge1."""
    return home.knows(job_agent)


def run_shell(edge: Home, script: str, *options: str) -> Result:
    return edge.client("run", *options, "--interval", "0.1s", "--", "sh", "-c", script)


def test_a_program_runs_as_if_it_ran_here(edge: Home) -> None:
    """Bundle there, variables set, both streams apart, artefacts back, telemetry recorded, 0 at the end."""
    bundle = edge.folder / "program"
    bundle.mkdir()
    (bundle / "greet.sh").write_text(
        'echo "hello $NAME"; echo warned >&2; mkdir $OUTPUT/sub; cp greet.sh $OUTPUT/sub/copy.sh\n'
    )
    done = run_shell(edge, "sh greet.sh", "--bundle", "program", "--env", "NAME=edge", "--save", "out")
    assert (done.returncode, done.stdout) == (0, "hello edge\n"), done.stderr
    assert "warned\n" in done.stderr
    assert "bundle: 1 file," in done.stderr
    out = edge.folder / "out"
    assert (out / "artifacts" / "sub" / "copy.sh").read_text() == (bundle / "greet.sh").read_text()
    assert (out / "stdout.log").read_text() == "hello edge\n"
    assert json.loads((out / "result.json").read_text())["exit_code"] == 0
    assert json.loads((out / "telemetry.json").read_text())["t_s"]
    assert (out / "telemetry.csv").read_text().startswith("t_s,phase,")


def test_a_program_that_fails_ends_with_7(edge: Home) -> None:
    """Its exit code is said, what it left is fetched."""
    done = run_shell(edge, "echo half > $OUTPUT/half; exit 3")
    assert done.returncode == 7
    assert "the program ended with exit code 3" in done.stderr
    assert len(list((edge.folder / "runs").glob("*-sh/artifacts/half"))) == 1


def test_a_program_that_takes_too_long_is_ended(edge: Home) -> None:
    """--timeout ends it; 7."""
    done = run_shell(edge, "sleep 60", "--timeout", "500ms")
    assert done.returncode == 7
    assert "the job is failed" in done.stderr


def test_commands_must_be_allowed(home: Home, agent: RunningAgent) -> None:
    """5, with what to do, and no folder left behind."""
    done = home.knows(agent).client("run", "--", "true")
    assert done.returncode == 5
    assert "--allow-commands" in done.stderr
    assert not (home.folder / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--env", "NOVALUE", "--", "true"], "--env takes NAME=VALUE"),
        (["--bundle", "nosuch", "--", "true"], "nosuch is not a folder"),
        (["--timeout", "soon", "--", "true"], "write 500ms"),
        ([], "COMMAND"),
    ],
)
def test_misuse_of_run(edge: Home, arguments: list[str], complaint: str) -> None:
    """2 and a line."""
    done = edge.client("run", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_output_survives_cut_connections(edge: Home, job_agent: RunningAgent) -> None:
    """Everything arrives once though the connection is cut in mid-stream."""
    script = "for n in $(seq 40); do echo out $n; echo err $n >&2; sleep 0.05; done"
    with proxied(job_agent) as (proxy, host):
        edge.hosts.put(host)
        command = [CLIENT, "run", "--host", "proxied", "-q", "--", "sh", "-c", script]
        process = subprocess.Popen(
            command, cwd=edge.folder, env=edge.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3):
            time.sleep(0.7)
            proxy.cut()
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output == "".join(f"out {n}\n" for n in range(1, 41))
    assert errors == "".join(f"err {n}\n" for n in range(1, 41))


def test_ctrl_c_leaves_the_program_running(edge: Home, job_agent: RunningAgent) -> None:
    """130, and the commands that are printed show its output and cancel it."""
    process = subprocess.Popen(
        [CLIENT, "run", "--", "sh", "-c", "echo begun; sleep 600"],
        cwd=edge.folder,
        env=edge.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, notes = process.communicate(timeout=60)
    assert process.returncode == 130
    (job_id,) = {line.split()[1] for line in notes.splitlines() if line.startswith("job ")}
    assert f"client jobs logs --follow {job_id} --host edge1" in notes
    assert edge.client("jobs", "logs", job_id).stdout == "begun\n"
    early = edge.client("jobs", "results", job_id)
    assert (early.returncode, "no result yet" in early.stderr) == (1, True)
    assert edge.client("jobs", "cancel", job_id, "--host", "edge1").returncode == 0
    with EdgeClient(job_agent.host) as client:
        wait_for(lambda: client.job(job_id).state is JobState.CANCELLED)
    assert not (edge.folder / "runs").exists()


def test_jobs_from_a_list_to_their_removal(edge: Home) -> None:
    """--detach gives the id; show, results and rm take it; a second rm is refused by name."""
    job_id = edge.client(
        "run", "--detach", "--name", "[bold]odd", "--", "sh", "-c", "echo x; echo y > $OUTPUT/y"
    ).stdout.strip()
    watched = edge.client("jobs", "watch", "--until-idle")
    assert watched.returncode == 0
    listed = edge.client("jobs", "ls", "--limit", "1")
    assert listed.stdout.splitlines()[1].split()[:5] == [job_id, "edge1", "C", "succeeded", "[bold]odd"]
    (row,) = csv.DictReader(io.StringIO(edge.client("jobs", "ls", "--limit", "1", "-o", "csv").stdout))
    assert (row["id"], row["letter"], row["kind"]) == (job_id, "C", "command")
    assert row["verdict"] in ("ok", "suspect", "unreliable")
    document = json.loads(edge.client("jobs", "ls", "--state", "succeeded", "-o", "json").stdout)
    assert document["hosts"]["edge1"]["quota_bytes"] > 0
    assert re.search("exit code +0", edge.client("jobs", "show", job_id).stdout)
    shown = json.loads(edge.client("jobs", "show", job_id, "-o", "json").stdout)
    assert shown["result"]["artifacts"] == [{"path": "y", "size_bytes": 2}]
    fetched = edge.client("jobs", "results", job_id, "--save", "out")
    assert (fetched.returncode, fetched.stdout) == (0, "out\n")
    names = {path.name for path in (edge.folder / "out").rglob("*") if path.is_file()}
    assert names == {"job.json", "result.json", "telemetry.json", "telemetry.csv", "stdout.log", "stderr.log", "y"}
    again = edge.client("jobs", "results", job_id, "--save", "out")
    assert (again.returncode, "not empty" in again.stderr) == (2, True)
    assert edge.client("jobs", "rm", job_id).returncode == 0
    gone = edge.client("jobs", "rm", job_id)
    assert (gone.returncode, job_id in gone.stderr) == (5, True)


def test_several_jobs_are_cancelled_at_once(edge: Home, job_agent: RunningAgent) -> None:
    """Known ones are cancelled though one id is wrong, which is said; a second time is fine."""
    ids = [edge.client("run", "--detach", "--", "sleep", "600").stdout.strip() for _ in range(2)]
    waiting = edge.client("jobs", "ls", "--state", "queued")
    assert "next" in waiting.stdout or "before it" in waiting.stdout
    done = edge.client("jobs", "cancel", ids[1], "nosuch", ids[0])
    assert done.returncode == 5
    assert "nosuch" in done.stderr
    with EdgeClient(job_agent.host) as client:
        wait_for(lambda: all(client.job(job_id).state is JobState.CANCELLED for job_id in ids))
    assert edge.client("jobs", "cancel", *ids).returncode == 0
    assert edge.client("jobs", "results", ids[1], "--save", "cancelled").returncode == 7
    assert (edge.folder / "cancelled" / "job.json").exists()


def test_an_id_may_be_its_beginning_alone(edge: Home) -> None:
    """As long as one job only is meant; else all that could be are named."""
    ids = [edge.client("run", "--detach", "--", "true").stdout.strip() for _ in range(17)]  # two begin alike
    assert edge.client("jobs", "wait", *ids).returncode == 0
    ours = [job_id for job_id in ids if [each[:7] for each in ids].count(job_id[:7]) == 1]
    shown = json.loads(edge.client("jobs", "show", ours[0][:7], "-o", "json").stdout)
    assert shown["job"]["id"] == ours[0]
    alike = next(job_id for job_id in ids if [each[0] for each in ids].count(job_id[0]) > 1)
    several = edge.client("jobs", "logs", alike[0])
    assert (several.returncode, "jobs have an id that begins with" in several.stderr) == (2, True)
    nothing = edge.client("jobs", "show", "nosuch")
    assert nothing.returncode == 5
    assert "`client jobs ls` lists those that are there" in nothing.stderr
    assert "/v1/" not in nothing.stderr


def test_waiting_for_the_end_of_jobs(edge: Home) -> None:
    """It ends with what became of them, and with the time that was given; the jobs go on."""
    good, bad, long = (
        edge.client("run", "--detach", "--", *argv).stdout.strip()
        for argv in (("sleep", "1"), ("sh", "-c", "exit 3"), ("sleep", "600"))
    )
    waited = edge.client("jobs", "wait", good)
    assert (waited.returncode, waited.stdout) == (0, "")
    assert f"{good} succeeded" in waited.stderr
    assert edge.client("jobs", "wait", "--quiet", good, bad).returncode == 7
    late = edge.client("jobs", "wait", long, "--timeout", "300ms")
    assert (late.returncode, f"job {long} has not ended after 0.3 s" in late.stderr) == (1, True)
    assert edge.client("jobs", "cancel", long).returncode == 0
    assert edge.client("jobs", "wait", long).returncode == 7


def test_watching_two_hosts_prints_changes(edge: Home, job_agent: RunningAgent) -> None:
    """Without a terminal a line for each change, named by host."""
    edge.knows(job_agent, "edge2")
    job_id = edge.client("run", "--detach", "--host", "edge1", "--", "sleep", "60").stdout.strip()
    command = [CLIENT, "jobs", "watch", "--host", "edge1", "--host", "edge2", "--until-idle"]
    with subprocess.Popen(command, env=edge.environment, cwd=edge.folder, stdout=subprocess.PIPE, text=True) as watch:
        try:
            assert watch.stdout is not None
            first = watch.stdout.readline()
            edge.client("jobs", "cancel", job_id, "--host", "edge1")
            lines = [first, *watch.stdout]
            watch.wait(timeout=60)
        finally:
            watch.kill()
    assert watch.returncode == 0
    for host in ("edge1", "edge2"):
        assert any(line.startswith(f"{host}: {job_id}") and "cancelled" in line for line in lines)


def test_telemetry_once_and_as_a_stream(edge: Home, agent: RunningAgent) -> None:
    """A view with human units, a document, CSV rows, and a line a sample in a pipe."""
    edge.knows(agent, "edge2")
    view = edge.client("telemetry", "--host", "edge1", "--once")
    assert view.returncode == 0, view.stderr
    assert re.search("CPU +utilization", view.stdout)
    assert "GiB" in view.stdout
    assert "edge1: no " in view.stdout
    document = json.loads(edge.client("telemetry", "--host", "edge1", "--host", "edge2", "--once", "-o", "json").stdout)
    assert set(document["hosts"]) == {"edge1", "edge2"}
    rows = list(csv.DictReader(io.StringIO(edge.client("telemetry", "--host", "edge1", "--once", "-o", "csv").stdout)))
    assert {"cpu_utilization_ratio", "memory_used_bytes"} <= {row["series"] for row in rows}
    script = f"{CLIENT} telemetry --host edge1 | head -n 3; exit ${{PIPESTATUS[0]}}"
    piped = subprocess.run(
        ["bash", "-c", script], env=edge.environment, capture_output=True, text=True, check=False, timeout=120
    )
    samples = [json.loads(line) for line in piped.stdout.splitlines()]
    assert (piped.returncode, piped.stderr, len(samples)) == (0, "", 3)
    assert samples[0]["info"]
    assert not samples[1]["info"]


def test_telemetry_of_a_host_that_is_gone(edge: Home) -> None:
    """3 for a lone one, 9 when another answers."""
    assert edge.client("telemetry", "--host", "127.0.0.1:1", "--once").returncode == 3
    assert edge.client("telemetry", "--host", "127.0.0.1:1").returncode == 3
    both = edge.client("telemetry", "--host", "edge1", "--host", "127.0.0.1:1", "--once", "-o", "json")
    assert both.returncode == 9
    assert set(json.loads(both.stdout)["hosts"]) == {"edge1"}


@pytest.mark.parametrize(
    "command", ["bench", "compare", "run", "telemetry", "jobs", "jobs ls", "jobs watch", "jobs results"]
)
def test_help_of_the_new_commands(home: Home, command: str) -> None:
    """Each explains itself, with an example where it takes options."""
    done = home.client(*command.split(), "--help")
    assert done.returncode == 0
    assert f"Usage: client {command}" in done.stdout
    assert command == "jobs" or "Example:\n    client " in done.stdout


def test_what_the_quota_took_is_said(home: Home, tmp_path: Path) -> None:
    """Results that were removed to stay within the quota are counted below the list and marked in it."""
    with running_agent(tmp_path / "small", "--workers", "1", "--allow-commands", "on", *SMALL_QUOTA) as agent:
        home.knows(agent)
        for _ in range(3):
            assert run_shell(home, "head -c 800000 /dev/zero > $OUTPUT/x", "-q").returncode == 0
        listed = home.client("jobs", "ls")
    assert "were removed, oldest first, to stay within the quota" in listed.stderr
    assert "(removed)" in listed.stdout


def test_a_live_view_on_a_terminal(edge: Home) -> None:
    """Queue and sensors are drawn on a terminal and end with it."""
    edge.client("run", "-q", "--", "true")
    for command in (["jobs", "watch"], ["telemetry"]):
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [CLIENT, *command], cwd=edge.folder, env=edge.environment | {"TERM": "xterm"}, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        seen, drawn = b"", False
        with contextlib.suppress(OSError):  # EIO: the other end was closed
            while piece := os.read(ours, 65536):
                seen += piece
                if not drawn and b"edge1" in seen:
                    drawn = True
                    process.send_signal(signal.SIGINT)
        os.close(ours)
        assert process.wait(timeout=60) == 130
        assert b"edge1" in seen
        assert b"Traceback" not in seen


def test_priority_and_requeue_reach_the_agent(edge: Home) -> None:
    """As the request says; a value out of range is a misuse."""
    job_id = edge.client("run", "--priority", "7", "--requeue", "--detach", "-q", "--", "true").stdout.strip()
    shown = json.loads(edge.client("jobs", "show", job_id, "-o", "json").stdout)["job"]["request"]
    assert (shown["priority"], shown["after_restart"]) == (7, "requeue")
    assert edge.client("run", "--priority", "1000", "--", "true").returncode == 2


def test_profile_shows_the_slowest_operators_and_saves_all(edge: Home) -> None:
    """A table with what they explain, csv with every operator, the whole result in a file."""
    done = edge.client("profile", "--model", "digits", "--iterations", "30", "--top", "2", "--save", "profile.json")
    assert done.returncode == 0, done.stderr
    assert "others" in done.stdout
    assert "the operators explain" in done.stdout
    saved = json.loads((edge.folder / "profile.json").read_text())
    rows = edge.client("profile", "--model", "digits", "--iterations", "30", "--kernels", "builtin", "-o", "csv")
    assert rows.stdout.splitlines()[0].startswith("number,name,")
    assert len(rows.stdout.splitlines()) >= 6
    assert saved["method"] == "litert-native"
    refused = edge.client("profile", "--model", "nosuch")
    assert (refused.returncode, "no model" in refused.stderr) == (5, True)

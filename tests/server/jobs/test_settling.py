"""Whatever a job leaves behind, it is settled, the next one runs, and an agent that died comes up again."""

import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from contract.codes import ErrorCode
from contract.filenames import unescape_name
from contract.jobs import Job, JobState
from contract.results import CommandResult
from tests.agents import RunningAgent, running_agent, wait_for
from tests.server.jobs.running import (
    OPTIONS,
    command,
    job_of,
    kill,
    listed,
    result_of,
    shell,
    submit,
    wait_until_ended,
    wait_until_it_runs,
)
from tests.server.test_classify import problem

ODD_OUTPUTS = {
    "a name that is not UTF-8": "open(b'\\xff', 'w').write('there')",
    "1,500 nested folders": "\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')",
    "paths longer than a path may be": "\nfor _ in range(40):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)",
    "folders nobody may enter": "os.makedirs('a/b'); open('a/b/c', 'w'); os.chmod('a/b', 0); os.chmod('a', 0)",
    "a pipe and a socket": "os.mkfifo('f'); import socket; socket.socket(socket.AF_UNIX).bind('s')",
    "a link in place of the folder": "os.chdir('..'); os.rmdir('output'); os.symlink(os.environ['DECOY'], 'output')",
    "links in the folder": "d = os.environ['DECOY']; os.symlink(d, 'a'); "
    "os.symlink(os.path.join(d, 'work', 'canary'), 'b')",
    "a link in place of its parent": "os.chdir('../..'); import shutil; w = os.path.dirname(os.environ['OUTPUT']); "
    "assert os.path.basename(os.path.dirname(w)) == 'work'; shutil.rmtree(w); os.symlink(os.environ['DECOY'], w)",
    "a file in place of the folder": "os.chdir('..'); os.rmdir('output'); open('output', 'w')",
    "nothing where the folder was": "import shutil; shutil.rmtree(os.environ['OUTPUT'])",
}


def python(source: str, decoy: Path) -> dict[str, object]:
    """A request to run a piece of Python in `$OUTPUT`."""
    return command("python3", "-c", f"import os; os.chdir(os.environ['OUTPUT']); {source}", env={"DECOY": str(decoy)})


def assert_the_queue_goes_on(agent: RunningAgent, http: httpx.Client) -> None:
    """Another job runs to its end, the agent is ready, and the list can be read."""
    assert wait_until_ended(http, submit(http, shell("true")).id).state is JobState.SUCCEEDED
    assert agent.get("/health/ready").status_code == 200
    assert listed(http).jobs


@pytest.mark.parametrize("source", ODD_OUTPUTS.values(), ids=ODD_OUTPUTS)
def test_no_output_stops_the_queue(worker_agent: RunningAgent, source: str, decoy: Path) -> None:
    """The job has ended, its result can be read, its artefacts can be fetched or are none, it can be removed."""
    with worker_agent.http() as http:
        job = wait_until_ended(http, submit(http, python(source, decoy)).id)
        assert job.state is JobState.SUCCEEDED, job.error
        assert isinstance(result_of(http, job.id), CommandResult)
        assert http.get(f"/v1/jobs/{job.id}/artifacts").status_code in (200, 404)
        assert_the_queue_goes_on(worker_agent, http)
        assert http.delete(f"/v1/jobs/{job.id}").status_code == 204
        assert [name for name in ("jobs", "work") if (worker_agent.data / name / job.id).exists()] == []
        wait_for(lambda: not list((worker_agent.data / "trash").iterdir()), timeout_s=120)


def no_context(record: Path, decoy: Path) -> None:
    (record / "context.json").write_text("{}")


def half_an_event(record: Path, decoy: Path) -> None:
    with (record / "events.ndjson").open("a") as file:
        file.write('{"event":"phase"}\n{"event":"window","at_ns":"soon"}\n[]\n{"event":"failed","code":3}\n{"ev')


def folder_for_a_result(record: Path, decoy: Path) -> None:
    (record / "result.json").mkdir()
    (record / "result.json" / "full").touch()


def pipes_for_files(record: Path, decoy: Path) -> None:
    for name in ("events.ndjson", "context.json", "telemetry.json", "telemetry.csv", "result.json", "host.log"):
        (record / name).unlink(missing_ok=True)
        os.mkfifo(record / name)


def folders_for_files(record: Path, decoy: Path) -> None:
    for name in ("events.ndjson", "context.json", "telemetry.json", "telemetry.csv", "result.json", "host.log"):
        (record / name).unlink(missing_ok=True)
        (record / name).mkdir()


def link_for_the_record(record: Path, decoy: Path) -> None:
    shutil.rmtree(record)
    record.symlink_to(decoy)


def links_for_files(record: Path, decoy: Path) -> None:
    for name in ("events.ndjson", "context.json", "telemetry.json", "telemetry.csv", "result.json", "host.log"):
        (record / name).unlink(missing_ok=True)
        (record / name).symlink_to(decoy / "canary")
    for name in ("inputs", "output", "work"):
        (record / name).symlink_to(decoy / name)


def link_for_the_work(record: Path, decoy: Path) -> None:
    shutil.rmtree(record.parent.parent / "work" / record.name)
    (record.parent.parent / "work" / record.name).symlink_to(decoy)


def nothing_for_the_record(record: Path, decoy: Path) -> None:
    shutil.rmtree(record)


DAMAGES = [
    no_context,
    half_an_event,
    folder_for_a_result,
    pipes_for_files,
    folders_for_files,
    link_for_the_record,
    links_for_files,
    link_for_the_work,
    nothing_for_the_record,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_no_damage_stops_the_queue(
    worker_agent: RunningAgent, damage: Callable[[Path, Path], None], tmp_path: Path, decoy: Path
) -> None:
    """What the agent keeps of a job is changed while it runs: that one job ends, and the next one runs."""
    with worker_agent.http() as http:
        job = running_job(worker_agent, http, tmp_path)
        damage(worker_agent.data / "jobs" / job.id, decoy)
        (tmp_path / "go").touch()
        assert wait_until_ended(http, job.id).state in (JobState.SUCCEEDED, JobState.FAILED)
        for path in ("", "/result", "/logs", "/telemetry", "/artifacts", "/events"):
            assert http.get(f"/v1/jobs/{job.id}{path}").status_code in (200, 404)
        assert_the_queue_goes_on(worker_agent, http)
        assert http.delete(f"/v1/jobs/{job.id}").status_code == 204


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_no_damage_keeps_an_agent_from_coming_up(
    tmp_path: Path, damage: Callable[[Path, Path], None], decoy: Path
) -> None:
    """The same, and the agent is killed before the job ends."""
    data = tmp_path / "data"
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        job = running_job(agent, http, tmp_path)
        kill(agent)
        damage(data / "jobs" / job.id, decoy)
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        settled = job_of(http, job.id)
        assert settled.state is JobState.INTERRUPTED
        assert settled.error is not None
        assert_the_queue_goes_on(agent, http)


def running_job(agent: RunningAgent, http: httpx.Client, tmp_path: Path) -> Job:
    """A job that waits for the file `go`."""
    job = submit(http, shell(f"echo said; until [ -e {tmp_path}/go ]; do sleep 0.05; done"))
    wait_until_it_runs(http, job.id, "command")
    wait_for(lambda: http.get(f"/v1/jobs/{job.id}/logs").text == "said\n")
    return job


def test_what_the_agent_needs_is_not_beside_what_a_program_writes(worker_agent: RunningAgent) -> None:
    """Nothing of the agent's lies in the folder above $OUTPUT, and none of it is handed to the program."""
    with worker_agent.http() as http:
        job = wait_until_ended(http, submit(http, shell("ls -A $OUTPUT/..; ls /proc/self/fd | wc -l")).id)
        assert http.get(f"/v1/jobs/{job.id}/logs").text.split() == ["output", "work", "4"]


def test_a_pipe_for_a_log_holds_nobody_up(tmp_path: Path) -> None:
    """The log route answers, and the agent stops when it is told to."""
    with running_agent(tmp_path / "data", *OPTIONS) as agent, agent.http() as http:
        job = wait_until_ended(http, submit(http, shell("echo there")).id)
        log = agent.data / "jobs" / job.id / "stdout.log"
        log.unlink()
        os.mkfifo(log)
        assert http.get(f"/v1/jobs/{job.id}/logs", timeout=10).text == ""
        agent.process.send_signal(signal.SIGTERM)
        assert agent.process.wait(timeout=20) == 0


def test_an_offset_that_no_file_has_is_refused(worker_agent: RunningAgent) -> None:
    """Before the answer begins; one beyond the end gives nothing."""
    with worker_agent.http() as http:
        job = wait_until_ended(http, submit(http, shell("echo there")).id)
        for offset in (2**63 - 1, 2**63, 10**30):
            found = problem(http.get(f"/v1/jobs/{job.id}/logs?offset={offset}"))
            assert found.code == ErrorCode.INVALID_REQUEST
        assert http.get(f"/v1/jobs/{job.id}/logs?offset={2**52}").text == ""


def test_a_queue_that_fails_is_started_again_and_readiness_tells(tmp_path: Path) -> None:
    """The list of jobs cannot be used for a while: that is said, and everything goes on when it can."""
    with running_agent(tmp_path / "data", *OPTIONS) as agent, agent.http() as http:
        job = running_job(agent, http, tmp_path)
        with sqlite3.connect(agent.data / "jobs.sqlite", timeout=30) as db:
            db.execute("ALTER TABLE jobs RENAME TO hidden")
        (tmp_path / "go").touch()
        wait_for(lambda: agent.get("/health/ready").status_code == 503)
        assert "the queue of jobs" in problem(agent.get("/health/ready")).detail
        with sqlite3.connect(agent.data / "jobs.sqlite", timeout=30) as db:
            db.execute("ALTER TABLE hidden RENAME TO jobs")
        wait_for(lambda: agent.get("/health/ready").status_code == 200)
        assert wait_until_ended(http, job.id).state is JobState.SUCCEEDED
        assert_the_queue_goes_on(agent, http)


@pytest.mark.parametrize("name", ["jobs", "work", "trash"])
def test_an_agent_does_not_take_a_link_for_one_of_its_folders(tmp_path: Path, decoy: Path, name: str) -> None:
    """It removes what is in them that it does not know: it says what is wrong and ends."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).symlink_to(decoy)
    command = [str(Path(sys.executable).with_name("server")), "--port", "0", "--data", str(tmp_path / "data")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, f"{name} is a link" in ended.stderr) == (3, True)


def test_a_job_that_cannot_be_read_any_more_costs_nothing_but_itself(tmp_path: Path) -> None:
    """Its row is of another version, or damaged: it has failed, and all others are listed and run."""
    data = tmp_path / "data"
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        first = running_job(agent, http, tmp_path)
        jobs = [submit(http, shell("true")) for _ in range(2)]
        with sqlite3.connect(data / "jobs.sqlite") as db:
            db.execute("UPDATE jobs SET request = '{}' WHERE id = ?", (jobs[0].id,))
        (tmp_path / "go").touch()
        assert wait_until_ended(http, first.id).state is JobState.SUCCEEDED
        assert wait_until_ended(http, jobs[1].id).state is JobState.SUCCEEDED
        assert_the_queue_goes_on(agent, http)
        page = listed(http)
        assert page.counts[JobState.FAILED] == 1
        assert http.delete(f"/v1/jobs/{jobs[0].id}").status_code == 204


def test_odd_names_come_back_escaped_and_what_is_left_out_is_told(worker_agent: RunningAgent, decoy: Path) -> None:
    """Every artefact has a name that any reader can take, and which names the file for good."""
    source = (
        "\nfor name in (b'\\xff', b'100%', b'a\\nb', b'usual', b'back\\\\slash'):\n    open(name, 'w').write('there')\n"
        "os.mkfifo('pipe'); os.symlink(os.environ['DECOY'], 'link'); os.makedirs('/'.join('d' * 40))\n"
        "open('hole', 'w').truncate(2**20)"
    )
    with worker_agent.http() as http:
        job = wait_until_ended(http, submit(http, python(source, decoy)).id)
        found = result_of(http, job.id)
        assert isinstance(found, CommandResult)
        paths = [each.path for each in found.artifacts]
        assert paths == ["%FF", "100%25", "a%0Ab", "back%5Cslash", "hole", "usual"]
        assert [unescape_name(path) for path in paths[:3]] == [os.fsdecode(b"\xff"), "100%", "a\nb"]
        archive = http.get(f"/v1/jobs/{job.id}/artifacts").content
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            assert tar.getnames() == paths
        told = " ".join(found.artifacts_left_out)
        assert all(words in told for words in ("pipe", "link", "depth of 32"))

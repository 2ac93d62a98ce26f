"""Command jobs: run in a folder of their own, watched, ended with everything they started."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from contract.codes import ErrorCode
from contract.jobs import JobState
from contract.results import CommandResult
from tests.agents import RunningAgent, wait_for
from tests.server.jobs.running import (
    benchmark,
    command,
    lasting,
    living,
    result_of,
    run,
    shell,
    submit,
    wait_until_ended,
    wait_until_it_runs,
)
from tests.server.test_classify import problem
from tests.server.test_models import put_blob


def tar_of(*members: tuple[str, bytes], link: str | None = None) -> bytes:
    """A tar with files of these names and contents, and a link that leads out."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return out.getvalue()


def finished(agent: RunningAgent, request: dict[str, object]) -> CommandResult:
    job, result = run(agent, request)
    assert job.state is JobState.SUCCEEDED, job.error
    assert isinstance(result, CommandResult)
    return result


def log_of(agent: RunningAgent, job_id: str, stream: str) -> str:
    with agent.http() as http:
        return http.get(f"/v1/jobs/{job_id}/logs?stream={stream}").text


def test_output_exit_code_and_artefacts_come_back(worker_agent: RunningAgent) -> None:
    """A program with a bundle, an environment and files it leaves."""
    script = b"import os, sys\nprint(os.environ['WHO'], open('data.txt').read())\nprint('oops', file=sys.stderr)\n"
    script += (
        b"os.makedirs(os.environ['OUTPUT'] + '/sub')\nopen(os.environ['OUTPUT'] + '/sub/r.txt', 'w').write('42')\n"
    )
    with worker_agent.http() as http:
        bundle = put_blob(http, tar_of(("main.py", script), ("data.txt", b"there")))
        request = command("python3", "main.py", env={"WHO": "me"}, bundle=bundle)
        job = wait_until_ended(http, submit(http, request).id)
        found = result_of(http, job.id)
        artifacts = http.get(f"/v1/jobs/{job.id}/artifacts")
    assert isinstance(found, CommandResult)
    assert (job.state, found.exit_code, found.signal, found.complete) == (JobState.SUCCEEDED, 0, None, True)
    assert [(each.path, each.size_bytes) for each in found.artifacts] == [("sub/r.txt", 2)]
    assert log_of(worker_agent, job.id, "stdout") == "me there\n"
    assert log_of(worker_agent, job.id, "stderr") == "oops\n"
    assert found.stdout_bytes == len("me there\n")
    assert found.max_resident_bytes
    with tarfile.open(fileobj=io.BytesIO(artifacts.content)) as archive:
        member = archive.extractfile("sub/r.txt")
        assert member is not None
        assert member.read() == b"42"


@pytest.mark.parametrize(
    ("script", "code", "signal_name"),
    [("exit 3", 3, None), ("kill -SEGV $$", None, "SIGSEGV")],
)
def test_a_program_that_fails_says_how(
    worker_agent: RunningAgent, script: str, code: int | None, signal_name: str | None
) -> None:
    """By its exit code or its signal; what it left is there."""
    job, found = run(worker_agent, shell(f"echo said; {script}"))
    assert isinstance(found, CommandResult)
    assert (job.state, found.exit_code, found.signal) == (JobState.FAILED, code, signal_name)
    assert job.error is not None
    assert job.error.code == "exit_code"
    assert log_of(worker_agent, job.id, "stdout") == "said\n"


def test_a_program_that_is_not_there(worker_agent: RunningAgent) -> None:
    """The job fails and names it."""
    with worker_agent.http() as http:
        job = wait_until_ended(http, submit(http, command("no-such-program")).id)
    assert (job.state, job.error is not None and "no-such-program" in job.error.detail) == (JobState.FAILED, True)


def test_the_agents_secrets_are_not_in_the_programs_environment(worker_agent: RunningAgent) -> None:
    """Only what it needs, and what was asked for."""
    job, _ = run(worker_agent, shell("env"))
    names = {line.split("=")[0] for line in log_of(worker_agent, job.id, "stdout").splitlines()}
    assert "OUTPUT" in names
    assert not [name for name in names if name.startswith("EDGERUN_") and name != "EDGERUN_JOB"]


def test_logs_are_followed_while_they_grow(worker_agent: RunningAgent) -> None:
    """From an offset on, until the program ends."""
    with worker_agent.http() as http:
        job = submit(http, shell("for i in 1 2 3 4; do echo line $i; sleep 0.2; done"))
        with http.stream("GET", f"/v1/jobs/{job.id}/logs?follow=true&offset=7") as response:
            chunks = list(response.iter_text())
    assert "".join(chunks) == "line 2\nline 3\nline 4\n"
    assert len(chunks) > 1


def test_cancelling_ends_everything_the_program_started(worker_agent: RunningAgent) -> None:
    """Children, those that ignore the request to end, and those that left its session."""
    sleeps = [lasting(number) for number in (611, 612, 613)]
    script = "trap '' TERM; {} & setsid {} & {}".format(*sleeps)
    with worker_agent.http() as http:
        job = submit(http, shell(script))
        wait_until_it_runs(http, job.id, "command")
        wait_for(lambda: all(living(each) for each in sleeps))
        http.post(f"/v1/jobs/{job.id}/cancel").raise_for_status()
        job = wait_until_ended(http, job.id)
        found = result_of(http, job.id)
    assert job.state is JobState.CANCELLED
    assert not found.complete
    assert not any(living(each) for each in sleeps)


def test_a_time_limit_ends_a_program(worker_agent: RunningAgent) -> None:
    """The job failed, and what it printed is kept."""
    with worker_agent.http() as http:
        job = submit(http, {**shell("echo before; sleep 600"), "timeout_s": 5.0})
        job = wait_until_ended(http, job.id)
    assert (job.state, job.error is not None and job.error.code) == (JobState.FAILED, "timeout")
    assert log_of(worker_agent, job.id, "stdout") == "before\n"


def test_what_runs_on_after_the_program_is_ended_too(worker_agent: RunningAgent) -> None:
    """A process left in the background would disturb the next measurement."""
    finished(worker_agent, shell(f"setsid {lasting(614)} >/dev/null 2>&1 & exit 0"))
    assert living(lasting(614)) == []


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (tar_of(("../out", b"x")), "leads out"),
        (tar_of(("/etc/x", b"x")), "leads out"),
        (tar_of(link="innocent"), "neither a file nor a folder"),
        (b"this is no tar", "not a tar"),
    ],
)
def test_a_bundle_that_leads_out_is_not_unpacked(worker_agent: RunningAgent, content: bytes, word: str) -> None:
    """The job fails before anything is written or run."""
    with worker_agent.http() as http:
        request = shell("echo ran", bundle=put_blob(http, content))
        job = wait_until_ended(http, submit(http, request).id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert word in job.error.detail
    assert log_of(worker_agent, job.id, "stdout") == ""


def test_commands_are_refused_unless_allowed(agent: RunningAgent) -> None:
    """Off by default, with the way to allow them."""
    with agent.http() as http:
        found = problem(http.post("/v1/jobs", json=shell("true")))
    assert (found.status, found.code) == (403, ErrorCode.COMMANDS_NOT_ALLOWED)
    assert "--allow-commands" in (found.hint or "")


def test_a_busy_neighbour_is_noticed(worker_agent: RunningAgent, tmp_path: Path) -> None:
    """A real process that takes the cores while a benchmark runs is a reason in its verdict."""
    import subprocess
    import sys

    with worker_agent.http() as http:
        job = submit(http, {**benchmark(duration_s=6), "telemetry_interval_s": 0.5})
        wait_until_it_runs(http, job.id, "timed")
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
        try:
            wait_until_ended(http, job.id)
        finally:
            for each in busy:
                each.kill()
                each.wait()
        found = result_of(http, job.id)
    assert "contention" in [reason.code for reason in found.validity.reasons]
    assert found.validity.verdict != "ok"

"""The queue of a real agent: order, events, restarts, and ends of every kind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from contract.codes import ErrorCode
from contract.jobs import Job, JobState
from contract.results import BenchmarkResult
from tests.agents import RunningAgent, running_agent, wait_for
from tests.images import digit
from tests.server.jobs.running import (
    OPTIONS,
    benchmark,
    job_of,
    kill,
    listed,
    result_of,
    shell,
    submit,
    wait_until_ended,
    wait_until_it_runs,
)
from tests.server.jobs.small_disk import fill, small_disk
from tests.server.test_classify import problem


def test_one_at_a_time_by_priority(worker_agent: RunningAgent, tmp_path: Path) -> None:
    """Jobs write when they begin and end; nothing overlaps, the urgent one overtakes."""
    log = tmp_path / "order"
    with worker_agent.http() as http:
        jobs = [
            submit(http, {**shell(f"echo {name}+ >> {log}; sleep 0.3; echo {name}- >> {log}"), "priority": priority})
            for name, priority in (("a", 0), ("b", 0), ("c", 9))
        ]
        for job in jobs:
            wait_until_ended(http, job.id)
    assert log.read_text().split() == ["a+", "a-", "c+", "c-", "b+", "b-"]


def test_the_same_key_makes_one_job(worker_agent: RunningAgent) -> None:
    """A client whose connection broke may send again; another request under the key is refused."""
    with worker_agent.http() as http:
        request, key = shell("true"), {"Idempotency-Key": "the very same"}
        first = http.post("/v1/jobs", json=request, headers=key)
        again = http.post("/v1/jobs", json=request, headers=key)
        assert (first.status_code, again.status_code) == (202, 200)
        assert first.json()["id"] == again.json()["id"]
        assert first.headers["location"] == f"/v1/jobs/{first.json()['id']}"
        other = http.post("/v1/jobs", json=shell("false"), headers=key)
        assert problem(other).code == ErrorCode.IDEMPOTENCY_CONFLICT
        wait_until_ended(http, first.json()["id"])


def test_a_queued_job_is_cancelled_without_ever_running(worker_agent: RunningAgent, tmp_path: Path) -> None:
    """And cancelling again, or an ended job, changes nothing."""
    with worker_agent.http() as http:
        first = submit(http, shell("sleep 1"))
        wait_for(lambda: job_of(http, first.id).state is JobState.RUNNING)
        second = submit(http, shell(f"touch {tmp_path}/ran"))
        assert job_of(http, second.id).position == 0
        for _ in range(2):
            answer = http.post(f"/v1/jobs/{second.id}/cancel").json()
            assert answer["state"] == "cancelled"
        wait_until_ended(http, first.id)
        assert http.post(f"/v1/jobs/{first.id}/cancel").json()["state"] == "succeeded"
    assert not (tmp_path / "ran").exists()


def test_deleting_takes_an_ended_job_away_and_no_other(worker_agent: RunningAgent) -> None:
    """With all its files."""
    with worker_agent.http() as http:
        job = submit(http, shell("sleep 0.5"))
        assert problem(http.delete(f"/v1/jobs/{job.id}")).code == ErrorCode.JOB_ACTIVE
        assert problem(http.get(f"/v1/jobs/{job.id}/result")).code == ErrorCode.JOB_NOT_ENDED
        wait_until_ended(http, job.id)
        assert http.delete(f"/v1/jobs/{job.id}").status_code == 204
        for path in ("", "/result", "/logs", "/telemetry", "/artifacts", "/events"):
            assert problem(http.get(f"/v1/jobs/{job.id}{path}")).code == ErrorCode.UNKNOWN_JOB
    assert not (worker_agent.data / "jobs" / job.id).exists()


def events_of(http: httpx.Client, job_id: str, last: int = 0) -> list[dict[str, str]]:
    """All server-sent events of a job until its end."""
    events = []
    with http.stream("GET", f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(last)}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in response.iter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                events.append(fields)
                fields = {}
    return events


def test_events_tell_what_happens_and_resume(worker_agent: RunningAgent) -> None:
    """States, progress and numbered windows; a watcher that comes back gets what it missed, and only that."""
    with worker_agent.http() as http:
        job = submit(http, benchmark(duration_s=1.0, window_s=0.2))
        events = events_of(http, job.id)
        windows = [int(event["id"]) for event in events if event["event"] == "window"]
        assert windows == list(range(1, len(windows) + 1))
        assert len(windows) >= 4
        assert {"state", "progress", "window"} == {event["event"] for event in events}
        last = Job.model_validate_json(events[-1]["data"])
        assert (events[-1]["event"], last.state) == ("state", JobState.SUCCEEDED)
        after = [int(event["id"]) for event in events_of(http, job.id, 2) if event["event"] == "window"]
        assert after == windows[2:]


def test_a_killed_agent_keeps_what_was_measured_and_goes_on(tmp_path: Path) -> None:
    """SIGKILL in the middle of a benchmark: interrupted, its windows there, the queue goes on, no process stays."""
    data = tmp_path / "data"
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        cut = submit(http, benchmark(duration_s=60, window_s=0.2))
        waiting = submit(http, benchmark(iterations=10))
        wait_until_it_runs(http, cut.id, "timed")
        time.sleep(1.0)
        kill(agent)
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        job = job_of(http, cut.id)
        assert (job.state, job.error is not None and job.error.code) == (JobState.INTERRUPTED, "agent_died")
        found = result_of(http, cut.id)
        assert isinstance(found, BenchmarkResult)
        assert len(found.windows) >= 3
        assert not found.complete
        assert found.latency is not None
        assert http.get(f"/v1/jobs/{cut.id}/telemetry").json()["t_s"]
        assert wait_until_ended(http, waiting.id).state is JobState.SUCCEEDED


def test_a_job_that_asked_for_it_is_queued_again(tmp_path: Path) -> None:
    """After a kill it runs once more, from the beginning."""
    data = tmp_path / "data"
    script = f"echo run >> {tmp_path}/runs; [ $(wc -l < {tmp_path}/runs) -gt 1 ] || sleep 600"
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        job = submit(http, {**shell(script), "after_restart": "requeue"})
        wait_for(lambda: (tmp_path / "runs").exists())
        kill(agent)
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        done = wait_until_ended(http, job.id)
    assert (done.state, done.attempts) == (JobState.SUCCEEDED, 2)


def test_stopping_the_agent_does_not_wait_for_a_job(tmp_path: Path) -> None:
    """SIGTERM: the job is interrupted with what it had, and whoever watches it is let go."""
    data = tmp_path / "data"
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        job = submit(http, shell("echo there; sleep 600"))
        wait_until_it_runs(http, job.id, "command")
        watcher = subprocess.Popen(["curl", "-sN", f"{agent.url}/v1/jobs/{job.id}/events"], stdout=subprocess.DEVNULL)
        follower = subprocess.Popen(
            ["curl", "-sN", f"{agent.url}/v1/jobs/{job.id}/logs?follow=true"], stdout=subprocess.PIPE
        )
        time.sleep(0.5)
        agent.process.send_signal(signal.SIGTERM)
        assert agent.process.wait(timeout=60) == 0
        assert follower.communicate(timeout=60)[0] == b"there\n"
        watcher.wait(timeout=60)
    with running_agent(data, *OPTIONS) as agent, agent.http() as http:
        stopped = job_of(http, job.id)
        assert (stopped.state, stopped.error is not None and stopped.error.code) == (
            JobState.INTERRUPTED,
            "agent_stopped",
        )


def test_the_quota_is_kept_and_told(tmp_path: Path) -> None:
    """What the oldest jobs left goes first; the list says so, and asking for it does too."""
    options = (*OPTIONS, "--max-jobs-bytes", "3000000")
    with running_agent(tmp_path / "data", *options) as agent, agent.http() as http:
        jobs = [submit(http, shell("head -c 1200000 /dev/zero > $OUTPUT/big")) for _ in range(4)]
        for job in jobs:
            wait_until_ended(http, job.id)
        wait_for(lambda: listed(http).evicted == 2)
        page = listed(http)
        assert [job.evicted for job in page.jobs] == [False, False, True, True]
        assert page.stored_bytes <= page.quota_bytes == 3000000
        assert problem(http.get(f"/v1/jobs/{jobs[0].id}/result")).code == ErrorCode.RESULT_REMOVED
        assert http.get(f"/v1/jobs/{jobs[3].id}/artifacts").status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_is_an_error_and_spoils_nothing(tmp_path: Path) -> None:
    """Submitting says 507; what was stored stays, and everything goes on once there is room."""
    data = tmp_path / "data"
    with small_disk(data, 16 << 20):
        with running_agent(data, *OPTIONS) as agent, agent.http() as http:
            before = wait_until_ended(http, submit(http, benchmark(iterations=5)).id)
            filler = data / "filler"
            fill(filler)
            answers = [http.post("/v1/jobs", json=benchmark(iterations=5, model="digits")) for _ in range(200)]
            refused = [answer for answer in answers if answer.status_code == 507]
            assert refused
            assert problem(refused[0]).code == ErrorCode.STORAGE_FULL
            assert result_of(http, before.id)
            assert agent.process.poll() is None
            assert http.post("/v1/classify", content=digit(1)).status_code in (200, 503)
            filler.unlink()
            accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
            later = submit(http, benchmark(iterations=5))
            for job_id in (*accepted, later.id):
                assert wait_until_ended(http, job_id).state.ended
            assert job_of(http, later.id).state is JobState.SUCCEEDED
        with running_agent(data, *OPTIONS) as agent, agent.http() as http:
            assert listed(http).counts[JobState.SUCCEEDED] >= 2


def test_a_document_that_is_too_large_is_refused(worker_agent: RunningAgent) -> None:
    """Before it fills the memory."""
    with worker_agent.http() as http:
        answer = http.post("/v1/jobs", content=b'{"kind": "' + b"x" * (2 << 20))
    assert problem(answer).code == ErrorCode.TOO_MANY_BYTES


HUGE = "9" * 6000
"""More digits than Python converts."""


@pytest.mark.parametrize("number", [str(1 << 63), "1" + "0" * 30, HUGE, "-1", "x"])
@pytest.mark.parametrize("query", ["before={}", "limit={}"])
def test_numbers_that_the_list_does_not_take(worker_agent: RunningAgent, query: str, number: str) -> None:
    """They are refused, not passed on to where they do not fit."""
    found = problem(worker_agent.get(f"/v1/jobs?{query.format(number)}"))
    assert (found.status, found.code) == (422, ErrorCode.INVALID_REQUEST)


@pytest.mark.parametrize("number", [str(1 << 63), HUGE, "-1"])
def test_numbers_that_a_job_does_not_take(worker_agent: RunningAgent, number: str) -> None:
    """In headers and queries of one job."""
    with worker_agent.http() as http:
        job = wait_until_ended(http, submit(http, shell("true")).id)
        events = http.get(f"/v1/jobs/{job.id}/events", headers={"Last-Event-ID": number})
        logs = http.get(f"/v1/jobs/{job.id}/logs?offset={number}")
    assert [problem(each).status for each in (events, logs)] == [422, 422]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("benchmark", '{"input": {"kind": "random", "seed": -1}}'),
        ("benchmark", '{"input": {"kind": "random", "seed": 9223372036854775808}}'),
        ("profile", '{"seed": -1}'),
        ("profile", '{"seed": 18446744073709551616}'),
        ("benchmark", '{"duration_s": NaN}'),
        ("benchmark", '{"duration_s": Infinity}'),
        ("benchmark", '{"window_s": NaN}'),
        ("benchmark", '{"cooldown_s": NaN}'),
        ("benchmark", '{"iterations": 1e400}'),
        ("profile", '{"iterations": ' + HUGE + "}"),
        ("command", '{"argv": ["true"]}, "timeout_s": NaN'),
        ("command", '{"argv": ["true"]}, "telemetry_interval_s": NaN'),
        ("command", '{"argv": ["true"]}, "priority": 9223372036854775808'),
    ],
)
def test_numbers_that_a_request_does_not_take(worker_agent: RunningAgent, kind: str, spec: str) -> None:
    """A clear refusal at once, not an internal error when its turn comes."""
    content = f'{{"kind": "{kind}", "spec": {spec}}}'.encode()
    with worker_agent.http() as http:
        answer = http.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, problem(answer).code) == (422, ErrorCode.INVALID_REQUEST), answer.text


def test_a_full_queue_is_told_and_its_list_stays_small(tmp_path: Path) -> None:
    """Heavy jobs are refused once they fill what is set aside; reading the list takes little memory, also at once."""
    options = (*OPTIONS, "--max-queued-jobs", "100")
    with running_agent(tmp_path / "data", *options) as agent, agent.http() as http:
        blocker = submit(http, shell("sleep 600"))
        wait_until_it_runs(http, blocker.id, "command")
        heavy = shell("true", env={f"DATA{n}": "x" * 100_000 for n in range(5)})
        answers = [http.post("/v1/jobs", json=heavy) for _ in range(80)]
        refused = [problem(answer) for answer in answers if answer.status_code == 429]
        assert 60 <= len(answers) - len(refused) <= 67
        assert refused[0].code == ErrorCode.JOBS_FULL
        assert "bundle" in (refused[0].hint or "")
        light = [http.post("/v1/jobs", json=shell("true")) for _ in range(40)]
        assert problem(light[-1]).code == ErrorCode.JOBS_FULL
        assert "--max-queued-jobs" in (problem(light[-1]).hint or "")
        before = _resident_bytes(agent.process.pid)
        for _ in range(6):
            page = http.get("/v1/jobs?limit=500")
            assert len(page.content) < 100_000
            assert len(page.json()["jobs"]) == 101
        assert _resident_bytes(agent.process.pid) - before < 64 << 20
        http.post(f"/v1/jobs/{blocker.id}/cancel").raise_for_status()


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

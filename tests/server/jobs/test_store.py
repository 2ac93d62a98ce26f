"""The list of jobs: what was acknowledged is there, in its order, and stays fast."""

import sqlite3
from pathlib import Path

import pytest

from contract.codes import ErrorCode
from contract.jobs import BenchmarkRequest, CommandRequest, JobError, JobState
from contract.specs import BenchmarkSpec, CommandSpec
from contract.validity import Verdict
from server.errors import AgentError
from server.jobs.record.folders import JobFolders
from server.jobs.rows import StoredProcess
from server.jobs.store import JobStore

REQUEST = BenchmarkRequest(spec=BenchmarkSpec(model="digits"))


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path, JobFolders(tmp_path))


def ended(store: JobStore, job_id: str, size: int = 0, state: JobState = JobState.SUCCEEDED) -> None:
    assert store.started(job_id)
    with store.folders.make_record(job_id) as record:
        record.replace("result.json", bytes(size))
    store.ended(job_id, state, None, Verdict.OK, size)


def test_jobs_come_out_by_priority_then_in_their_order(store: JobStore) -> None:
    """First in, first out among equals."""
    for name, priority in (("a", 0), ("b", 0), ("c", 5), ("d", -1)):
        store.add(name, REQUEST.model_copy(update={"priority": priority}), None)
    assert [store.get(name).job.position for name in "abcd"] == [1, 2, 0, 3]
    order = []
    while (job := store.next_queued()) is not None:
        order.append(job.id)
        ended(store, job.id)
    assert order == ["c", "a", "b", "d"]


def test_everything_is_there_after_opening_it_anew(store: JobStore, tmp_path: Path) -> None:
    """Requests, states and processes survive."""
    request = CommandRequest(spec=CommandSpec(argv=["sh", "-c", "true"], env={"A": "b"}), name="n", priority=3)
    store.add("a", request, "key")
    store.started("a")
    store.has_process("a", StoredProcess(12, 34, "boot"))
    store.close()
    found = JobStore(tmp_path, store.folders).get("a")
    assert (found.job.request, found.job.state, found.job.attempts) == (request, JobState.RUNNING, 1)
    assert found.process == StoredProcess(12, 34, "boot")


def test_a_key_gives_the_same_job_and_refuses_another_request(store: JobStore) -> None:
    """Submitting again after a lost answer makes no second job."""
    first, created = store.add("a", REQUEST, "key")
    again, created_again = store.add("b", REQUEST, "key")
    assert (created, created_again, again.id) == (True, False, first.id)
    with pytest.raises(AgentError) as refused:
        store.add("c", BenchmarkRequest(spec=BenchmarkSpec(batch=2)), "key")
    assert refused.value.code is ErrorCode.IDEMPOTENCY_CONFLICT


def test_only_what_waits_is_cancelled_and_only_what_ended_is_deleted(store: JobStore) -> None:
    """A job that began meanwhile is not lost by a cancellation of what waits."""
    store.add("a", REQUEST, None)
    with pytest.raises(AgentError) as active:
        store.delete("a")
    assert active.value.code is ErrorCode.JOB_ACTIVE
    assert store.cancel_queued("a")
    assert not store.cancel_queued("a")
    store.delete("a")
    with pytest.raises(AgentError) as unknown:
        store.get("a")
    assert unknown.value.code is ErrorCode.UNKNOWN_JOB


def test_the_quota_takes_the_oldest_and_says_so(store: JobStore) -> None:
    """The jobs stay in the list, marked, without their files."""
    for name in "abc":
        store.add(name, REQUEST, None)
        ended(store, name, size=100)
    assert store.keep_within(250) == ["a"]
    assert store.keep_within(250) == []
    page = store.page(10, None, [])
    assert [(job.id, job.evicted) for job in page.jobs] == [("c", False), ("b", False), ("a", True)]
    assert (page.tally.evicted, page.tally.stored_bytes) == (1, 200)
    assert store.folders.size("a") == 0
    assert store.folders.size("b") == 100


def test_pages_follow_one_another(store: JobStore) -> None:
    """Newest first, nothing twice, nothing left out, also when jobs are added meanwhile."""
    for number in range(25):
        store.add(f"j{number}", REQUEST, None)
    seen, before = [], None
    while True:
        page = store.page(10, before, [])
        seen += [job.id for job in page.jobs]
        store.add(f"late{len(seen)}", REQUEST, None)
        before = page.next
        if before is None:
            break
    assert seen == [f"j{number}" for number in reversed(range(25))]


def test_states_can_be_chosen(store: JobStore) -> None:
    """And all are counted."""
    for name in "abc":
        store.add(name, REQUEST, None)
    store.cancel_queued("b")
    page = store.page(10, None, [JobState.QUEUED])
    assert [job.id for job in page.jobs] == ["c", "a"]
    assert page.tally.counts == {JobState.QUEUED: 2, JobState.CANCELLED: 1}


PIECE = 100_000


def heavy(size: int) -> CommandRequest:
    """A request of so many bytes, spread over variables that are each as short as they must be."""
    env = {f"DATA{n}": "x" * min(PIECE, size - n) for n in range(0, size, PIECE)}
    return CommandRequest(spec=CommandSpec(argv=["sh", "-c", "true"], env=env), name="n")


def test_only_so_many_jobs_may_wait(tmp_path: Path) -> None:
    """Neither in number nor in bytes; what was taken is known by its key all the same, and room is made by ends."""
    store = JobStore(tmp_path, JobFolders(tmp_path), queued_max=2, queued_max_bytes=10_000)
    first, _ = store.add("a", heavy(6_000), "key")
    with pytest.raises(AgentError) as large:
        store.add("b", heavy(6_000), None)
    store.add("c", REQUEST, None)
    with pytest.raises(AgentError) as many:
        store.add("d", REQUEST, None)
    assert (large.value.code, many.value.code) == (ErrorCode.JOBS_FULL, ErrorCode.JOBS_FULL)
    assert "bytes" in large.value.detail
    assert "2 jobs are queued" in many.value.detail
    again, created = store.add("e", heavy(6_000), "key")
    assert (again.id, created) == (first.id, False)
    ended(store, "a")
    store.add("f", heavy(6_000), None)


def test_a_list_has_no_requests_and_pages_end_before_they_are_large(tmp_path: Path) -> None:
    """500 jobs of half a megabyte each are a few pages of half a megabyte at most."""
    store = JobStore(tmp_path, JobFolders(tmp_path), 2000, 1 << 30)
    request = heavy(500_000).model_copy(update={"name": "\u00fc" * 200})
    for number in range(20):
        store.add(f"j{number}", request, None)
    for number in range(20, 1500):
        store.add(f"j{number}", REQUEST.model_copy(update={"name": "\u00fc" * 200}), None)
    seen, before = [], None
    while True:
        page = store.page(1000, before, [])
        seen += [job.id for job in page.jobs]
        assert sum(len(job.model_dump_json().encode()) for job in page.jobs) <= 600_000
        before = page.next
        if before is None:
            break
    assert seen == [f"j{number}" for number in reversed(range(1500))]
    assert (page.jobs[-1].kind, page.jobs[-1].title) == ("command", "sh -c true")


def test_ended_jobs_whose_requests_are_too_large_are_forgotten(store: JobStore) -> None:
    """The oldest first, with all they left; what waits is not touched."""
    for name in "abc":
        store.add(name, heavy(10_000), None)
    for name in "ab":
        ended(store, name, size=10)
    assert store.forget_oldest(25_000) == ["a"]
    assert store.forget_oldest(1) == ["b"]
    assert store.ids() == {"c"}
    assert store.folders.size("a") == 0


def test_a_long_error_is_cut(store: JobStore) -> None:
    """What a program printed last may be a line of megabytes."""
    store.add("a", REQUEST, None)
    store.ended("a", JobState.FAILED, JobError(code="killed", detail="x" * 1_000_000), None, 0)
    error = store.get("a").job.error
    assert error is not None
    assert len(error.detail) == 2000


def test_a_list_of_before_summaries_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its jobs are listed as others are, also one that would not be taken any more."""
    columns = "id TEXT, state TEXT, priority INTEGER, request TEXT, idempotency_key TEXT, attempts INTEGER, "
    columns += "created_at TEXT, started_at TEXT, ended_at TEXT, error TEXT, verdict TEXT, process TEXT, "
    columns += "stored_bytes INTEGER, evicted INTEGER"
    profile = '{"kind": "profile", "name": "p", "spec": {"seed": -1}}'
    with sqlite3.connect(tmp_path / "jobs.sqlite") as db:
        db.execute(f"CREATE TABLE jobs (number INTEGER PRIMARY KEY AUTOINCREMENT, {columns})")
        for name, request in (("a", REQUEST.model_dump_json()), ("b", profile)):
            when = "2026-01-01T00:00:00+00:00"
            db.execute(
                "INSERT INTO jobs (id, state, request, attempts, created_at, stored_bytes, evicted) "
                "VALUES (?, 'cancelled', ?, 0, ?, 0, 0)",
                (name, request, when),
            )
    db.close()
    page = JobStore(tmp_path, JobFolders(tmp_path)).page(10, None, [])
    found = [(job.id, job.kind, job.name, job.title) for job in page.jobs]
    assert found == [("b", "profile", "p", "profile"), ("a", "benchmark", None, "digits batch 1")]

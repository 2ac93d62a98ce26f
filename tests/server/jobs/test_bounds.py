"""What a job may use: refused with the arithmetic where it is known before, limited where it is not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.codes import ErrorCode
from contract.jobs import JobState
from contract.models import TensorInfo
from contract.specs import BenchmarkSpec, ImageInput
from server.errors import AgentError
from server.jobs.host.main import _reason
from server.jobs.kinds.bounds import Bounds, bounds_here, require_memory, require_threads
from tests.agents import RunningAgent, wait_for
from tests.server.jobs.running import benchmark, lasting, living, shell, submit, wait_until_ended, wait_until_it_runs
from tests.server.jobs.test_processes import host_of
from tests.server.test_classify import problem

GIB = 1 << 30
IMAGE = TensorInfo(name="input", shape=[1, 224, 224, 3], dtype="float32")


def test_threads_are_refused_with_the_arithmetic(worker_agent: RunningAgent) -> None:
    """At once, whichever kind of job asks for them."""
    many = {"kind": "profile", "spec": {"model": "digits", "threads": 256}}
    with worker_agent.http() as http:
        answers = [http.post("/v1/jobs", json=each) for each in (benchmark(streams=64, threads=256), many)]
    streams, threads = map(problem, answers)
    assert (streams.status, streams.code, threads.code) == (422, ErrorCode.JOB_TOO_LARGE, ErrorCode.JOB_TOO_LARGE)
    assert f"64 streams x 256 threads = 16,384 threads; a job may have {bounds_here().threads}" in streams.detail
    assert streams.hint == "lower --streams or --threads"
    assert threads.detail.startswith("256 threads;")


def test_streams_of_a_hint_are_never_too_many() -> None:
    """What the agent chooses itself it allows too."""
    require_threads(bounds_here().threads, 1, bounds_here())


@pytest.mark.parametrize(
    ("count", "batch", "streams", "gib", "words"),
    [
        (1000, 256, 1, None, "32,000 of them in batches of 256"),
        (1000, 256, 1, 20, ""),
        (768, 256, 1, 2, ""),
        (1, 1, 64, 16, ""),
        (1, 256, 64, 8, "256 in 64 streams"),
    ],
)
def test_memory_is_refused_with_the_arithmetic(
    count: int, batch: int, streams: int, gib: int | None, words: str
) -> None:
    """Frames, the batches they are put into, and what each stream holds, of a model of 14 MiB."""
    digests = [f"sha256:{number:064x}" for number in range(count)]
    spec = BenchmarkSpec(batch=batch, input=ImageInput(digests=digests))
    bounds = Bounds(64, (gib or 4) * GIB)
    if not words:
        require_memory(spec, streams, [IMAGE], 14 << 20, bounds)
        return
    with pytest.raises(AgentError) as refused:
        require_memory(spec, streams, [IMAGE], 14 << 20, bounds)
    assert refused.value.code is ErrorCode.JOB_TOO_LARGE
    assert words in refused.value.detail
    assert "1x224x224x3 float32 (588 KiB each)" in refused.value.detail
    assert f"a job may use {gib or 4}.0 GiB here" in refused.value.detail


def test_bounds_follow_control_groups(tmp_path: Path) -> None:
    """A container's limits on tasks and memory count."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8388608 kB\n")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(str(2 * GIB))
    (tmp_path / "sys/fs/cgroup/pids.max").write_text("100\n")
    assert bounds_here(tmp_path) == Bounds(50, 3 * GIB // 2)


def test_a_job_that_gets_no_more_memory_says_so() -> None:
    """Whatever the library calls it."""
    for error in (MemoryError(), RuntimeError("std::bad_alloc"), RuntimeError("can't start new thread")):
        code, detail = _reason(error, 512 << 20)
        assert code == ErrorCode.WORKER_OUT_OF_MEMORY
        assert "512 MiB" in detail


def test_a_jobs_process_is_limited_and_goes_first(worker_agent: RunningAgent) -> None:
    """Its memory ends before the machine's, and the kernel takes it before the agent; a program before both."""
    with worker_agent.http() as http:
        job = submit(http, benchmark(duration_s=60))
        wait_until_it_runs(http, job.id, "timed")
        host = Path(f"/proc/{host_of(worker_agent)}")
        line = next(line for line in (host / "limits").read_text().splitlines() if line.startswith("Max data size"))
        http.post(f"/v1/jobs/{job.id}/cancel").raise_for_status()
        bounds = bounds_here()
        assert bounds.memory_bytes is not None
        assert bounds.memory_bytes <= int(line.split()[3]) < 2 * bounds.memory_bytes
        wait_until_ended(http, job.id)
        program = submit(http, shell("exec " + lasting(7121)))
        wait_until_it_runs(http, program.id, "command")
        wait_for(lambda: living(lasting(7121)))
        pids = (worker_agent.process.pid, host_of(worker_agent), living(lasting(7121))[0])
        agents, hosts, programs = (int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in pids)
        http.post(f"/v1/jobs/{program.id}/cancel").raise_for_status()
        wait_until_ended(http, program.id)
    assert agents < hosts < programs


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group of this machine with little memory; skips where none can be made."""
    group = Path(f"/sys/fs/cgroup/memory/edgerun-test-{os.getpid()}")
    limit = group / "memory.limit_in_bytes"
    try:
        group.mkdir()
        limit.write_text(str(64 << 20))
    except OSError:
        pytest.skip("this machine lets nobody make control groups of memory")
    yield group
    group.rmdir()


def test_a_program_that_takes_all_memory_says_why_it_ended(worker_agent: RunningAgent, memory_group: Path) -> None:
    """The kernel kills it, and the job has that for its reason."""
    hungry = "import sys; held = [bytearray(1 << 20) for _ in range(1000)]"
    script = f"echo $$ > {memory_group}/cgroup.procs; exec python3 -c '{hungry}'"
    with worker_agent.http() as http:
        job = wait_until_ended(http, submit(http, shell(script)).id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error.code, "memory was full" in job.error.detail) == (ErrorCode.WORKER_OUT_OF_MEMORY, True)

"""Streams: events are read wherever the bytes are cut, and go on after the connection was."""

import asyncio
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import AsyncEdgeClient, EdgeClient, Unreachable
from client.files.unpack import unpack
from client.sdk.answers import Answer
from client.sdk.events import TelemetryFeed
from client.sdk.hosts import Host
from client.sdk.patience import Patience
from client.sdk.sse import EventParser, ServerSentEvent
from contract.jobs import BenchmarkRequest, CommandRequest, Job, JobState, Progress
from contract.results import Window
from contract.specs import BenchmarkSpec, CommandSpec
from tests.agents import RunningAgent
from tests.client.proxy import proxied

STREAM = (
    ": a comment\n\nevent: state\nid: 1\ndata: {}\n\n"
    "data: naïve\ndata: two lines\r\n\r\nevent: none\n\nid: 7\nevent: x\ndata:  kept space\n\nevent: cut off\ndata: x\n"
).encode()
EVENTS = [
    ServerSentEvent("state", "{}", "1"),
    ServerSentEvent("message", "naïve\ntwo lines", "1"),
    ServerSentEvent("x", " kept space", "7"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_do_not_depend_on_where_the_bytes_are_cut(cuts: list[int]) -> None:
    """Within a line, a character or a line end; what is incomplete is no event."""
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = EventParser()
    pieces = [STREAM[start:end] for start, end in pairwise(edges)]
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


def counting_job(lines: int, pause_s: float = 0.05) -> CommandRequest:
    """A program that prints numbers slowly and leaves a file."""
    script = f"for n in $(seq {lines}); do echo line $n; sleep {pause_s}; done; echo done > $OUTPUT/made.txt"
    return CommandRequest(name="counting", spec=CommandSpec(argv=["sh", "-c", script]))


def test_logs_go_on_after_cuts_without_loss_or_repetition(job_agent: RunningAgent) -> None:
    """Connections are cut in mid-stream, and every byte arrives once, in order."""
    with proxied(job_agent) as (proxy, host), EdgeClient(host) as client:
        job = client.submit(counting_job(60))

        def cut_often() -> None:
            for _ in range(3):
                time.sleep(0.8)
                proxy.cut()

        cutting = threading.Thread(target=cut_often)
        cutting.start()
        log = b"".join(client.job_logs(job.id, follow=True))
        cutting.join()
        assert log.decode().split("\n")[:-1] == [f"line {n}" for n in range(1, 61)]
        assert proxy.connections >= 3


def test_events_go_on_after_a_cut(job_agent: RunningAgent) -> None:
    """Windows come once each and the last event is the end, over a broken connection."""
    spec = BenchmarkSpec(model="digits", duration_s=3.0, window_s=0.2)
    with proxied(job_agent) as (proxy, host), EdgeClient(host) as client:
        job = client.submit(BenchmarkRequest(spec=spec))
        cutting = threading.Timer(1.5, proxy.cut)
        cutting.start()
        values = [event.value for event in client.job_events(job.id)]
        cutting.join()
    starts = [value.start_s for value in values if isinstance(value, Window)]
    assert len(starts) >= 10
    assert starts == sorted(set(starts))
    assert any(isinstance(value, Progress) for value in values)
    assert isinstance(values[-1], Job)
    assert values[-1].state is JobState.SUCCEEDED


def test_the_asynchronous_client_follows_too(job_agent: RunningAgent, tmp_path: Path) -> None:
    """Logs, events and artefacts, the same as from the blocking one."""

    async def follow() -> tuple[bytes, list[object], int]:
        async with AsyncEdgeClient(job_agent.host) as client:
            job = await client.submit(counting_job(5))
            log = b"".join([chunk async for chunk in client.job_logs(job.id, follow=True)])
            values: list[object] = [event.value async for event in client.job_events(job.id)]
            return log, values, await client.job_artifacts(job.id, tmp_path / "out.tar")

    log, values, size_bytes = asyncio.run(follow())
    assert log.count(b"line") == 5
    assert isinstance(values[-1], Job)
    assert values[-1].state.ended
    assert size_bytes == (tmp_path / "out.tar").stat().st_size
    assert [path.name for path in unpack(tmp_path / "out.tar", tmp_path / "out")] == ["made.txt"]


def test_telemetry_goes_on_after_a_cut(job_agent: RunningAgent) -> None:
    """Every sample carries what the series are, though the agent says it once a connection."""
    with proxied(job_agent) as (proxy, host), EdgeClient(host) as client:
        assert client.telemetry().values
        samples = []
        for sample in client.telemetry_stream(1.0):
            samples.append(sample)
            if len(samples) == 2:
                proxy.cut()
            if len(samples) == 4:
                break
    assert all(sample.info == samples[0].info for sample in samples)
    assert samples[0].info
    times = [sample.t_s for sample in samples]
    assert times == sorted(set(times))


def test_an_agent_that_never_answered_is_not_waited_for(job_agent: RunningAgent) -> None:
    """A stream from a closed port fails at once."""
    started = time.monotonic()
    with proxied(job_agent) as (proxy, host), EdgeClient(host) as client:
        proxy.close()
        with pytest.raises(Unreachable):
            next(client.job_logs("x", follow=True))
    assert time.monotonic() - started < 5


def test_a_first_stream_that_breaks_is_opened_again(job_agent: RunningAgent) -> None:
    """The agent took the job a moment ago, so it is waited for though no stream of it ever began."""
    with proxied(job_agent) as (proxy, host), EdgeClient(host) as client:
        job = client.submit(counting_job(3))
        proxy.refused = 1
        proxy.cut()
        assert b"".join(client.job_logs(job.id, follow=True)) == b"line 1\nline 2\nline 3\n"
        assert proxy.refused == 0


def test_patience_ends() -> None:
    """An agent that answered is waited for, until it has been away for too long."""
    import httpx

    patience = Patience(Host("edge1", "http://127.0.0.1:1"), None, patience_s=-30.0)
    opened = Answer(200, httpx.Headers({"content-type": "text/event-stream"}))
    assert patience.opened(opened, TelemetryFeed(1.0))
    with pytest.raises(Unreachable):
        patience.after_break(httpx.ReadError("gone"))

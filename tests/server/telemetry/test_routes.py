"""The newest sample and the stream of a real agent."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from contract.codes import ErrorCode
from contract.paths import TELEMETRY, TELEMETRY_STREAM
from contract.telemetry import TelemetrySample
from server.errors import AgentError
from server.http.sse import KEEP_ALIVE, event, kept_alive
from server.telemetry.live import STREAMS_MAX, LiveTelemetry
from tests.agents import RunningAgent, running_agent, wait_for
from tests.server.telemetry import trees


def events(response: httpx.Response) -> Iterator[TelemetrySample]:
    """The samples in a stream."""
    name = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            assert name == "sample"
            yield TelemetrySample.model_validate_json(value)


def test_the_newest_sample_is_complete(agent: RunningAgent) -> None:
    """Values for every series described, utilization already at the first look."""
    answer = agent.get(TELEMETRY)
    assert answer.status_code == 200
    sample = TelemetrySample.model_validate_json(answer.content)
    assert sample.values.keys() == sample.info.keys()
    assert sample.values["memory_used_bytes"] is not None
    assert sample.values["cpu_utilization_ratio"] is not None
    assert sample.unavailable["job_cpu_seconds_total"]


def test_the_stream_describes_its_series_once(agent: RunningAgent) -> None:
    """The first event comes at once and carries `info`, the next ones do not; times grow."""
    with agent.http() as http, http.stream("GET", f"{TELEMETRY_STREAM}?interval_s=0.1") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        samples = events(response)
        first, second = next(samples), next(samples)
    assert first.info
    assert not second.info
    assert second.t_s > first.t_s
    assert second.values.keys() == first.values.keys()
    assert (first.interval_s, second.interval_s) == (1, 1)  # asked for less, and told what it is


@pytest.mark.parametrize("interval", ["0", "0.05", "61", "x"])
def test_odd_intervals_are_refused(agent: RunningAgent, interval: str) -> None:
    """As problem+json, before any stream begins."""
    answer = agent.get(f"{TELEMETRY_STREAM}?interval_s={interval}")
    assert (answer.status_code, answer.json()["code"]) == (422, ErrorCode.INVALID_REQUEST)


def test_the_ninth_stream_is_refused_and_places_come_back(agent: RunningAgent) -> None:
    """A clear error; whoever hangs up leaves a place."""
    with agent.http() as http:
        with ExitStack() as stack:
            streams = [events(stack.enter_context(http.stream("GET", TELEMETRY_STREAM))) for _ in range(STREAMS_MAX)]
            for stream in streams:
                next(stream)
            refused = http.get(TELEMETRY_STREAM)
            assert (refused.status_code, refused.json()["code"]) == (429, ErrorCode.QUEUE_FULL)

        def streams_again() -> bool:
            with http.stream("GET", TELEMETRY_STREAM) as response:
                return response.status_code == 200

        wait_for(streams_again)


def test_a_tree_of_another_machine_can_be_shown(tmp_path: Path) -> None:
    """EDGERUN_SENSORS_ROOT; and an open stream ends with the agent, which does not wait for it."""
    root = trees.raspberry_pi_4(tmp_path / "pi")
    with running_agent(tmp_path / "data", "--sensors-root", str(root), "--workers", "1") as running:
        sample = TelemetrySample.model_validate_json(running.get(TELEMETRY).content)
        assert sample.values["cpu_temperature_celsius"] == pytest.approx(48.312)
        with running.http() as http, http.stream("GET", TELEMETRY_STREAM) as response:
            samples = events(response)
            next(samples)
            began = time.monotonic()
            running.process.terminate()
            assert list(samples) is not None
            running.process.wait(timeout=60)
            assert time.monotonic() - began < 15
    assert "Traceback" not in running.log()


def test_the_sampler_stops_when_nobody_looks(tmp_path: Path) -> None:
    """And starts again for the next one."""

    async def look() -> None:
        live = LiveTelemetry(trees.raspberry_pi_4(tmp_path), interval_s=0.1, idle_stop_s=0.3)
        first = await live.latest()
        stream = live.samples(0.1)
        samples = [await anext(stream) for _ in range(6)]
        assert [s.t_s for s in samples] == sorted({s.t_s for s in samples})
        await stream.aclose()
        while live.sampling:
            await asyncio.sleep(0.02)
        assert (await live.latest()).values.keys() == first.values.keys()
        await live.stop()
        with pytest.raises(AgentError):
            await live.latest()

    asyncio.run(asyncio.wait_for(look(), 30))


def test_a_longer_interval_thins_the_stream_out(tmp_path: Path) -> None:
    """Samples are at least so far apart, less half a beat."""

    async def look() -> None:
        live = LiveTelemetry(trees.bare_vm(tmp_path), interval_s=0.05)
        stream = live.samples(0.2)
        times = [(await anext(stream)).t_s for _ in range(4)]
        assert all(b - a >= 0.17 for a, b in pairwise(times))
        await live.stop()
        assert [sample async for sample in stream] == []

    asyncio.run(asyncio.wait_for(look(), 30))


def test_events_are_written_as_the_standard_says() -> None:
    """Name, number, data in as many lines as it has."""
    assert event("a", "x\ny", 7) == b"event: a\nid: 7\ndata: x\ndata: y\n\n"
    assert event("b", json.dumps({"k": "v\n"})) == b'event: b\ndata: {"k": "v\\n"}\n\n'


def test_a_silent_stream_is_kept_alive() -> None:
    """Comments fill the pauses, and the generator is closed when the reader leaves."""
    closed = []

    async def slow() -> AsyncGenerator[bytes, None]:
        try:
            yield b"1"
            await asyncio.sleep(0.2)
            yield b"2"
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    async def read() -> list[bytes]:
        seen: list[bytes] = []
        async for part in kept_alive(slow(), 0.05):
            seen.append(part)
            if part == b"2":
                break
        return seen

    async def all_of_it() -> list[bytes]:
        seen = await read()
        await asyncio.sleep(0.05)
        return seen

    seen = asyncio.run(asyncio.wait_for(all_of_it(), 30))
    assert (seen[0], seen[-1]) == (b"1", b"2")
    assert set(seen[1:-1]) == {KEEP_ALIVE}
    assert closed == [True]
